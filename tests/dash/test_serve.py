"""`delta dash --serve` for real: its page, its socket, whom it refuses, and how it ends."""

import asyncio
import re
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.cli.conftest import delta
from tests.dash.conftest import inform
from tests.support.command_line import CommandLine
from tests.support.waiting import eventually

__all__ = ["delta"]

aiohttp: Any = pytest.importorskip("aiohttp", reason="needs the extra 'web'")
pytest.importorskip("textual_serve", reason="needs the extra 'web'")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
async def session() -> AsyncIterator[Any]:
    """A browser's: it keeps the cookies of a host without a name too."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def address(process: "subprocess.Popen[str]") -> str:
    """What the command line tells to open."""

    def read() -> str:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"http://\S+", line):
                return found[0]
        pytest.fail("it told no address")

    return await asyncio.to_thread(read)


async def page(session: Any, process: "subprocess.Popen[str]", opened: str = "") -> str:
    """What its address shows once it is served; the session is let in from then on."""
    opened = opened or await address(process)

    async def answered() -> str | None:
        assert process.poll() is None
        try:
            async with session.get(opened) as response:
                assert response.status == 200
                return await response.text()
        except aiohttp.ClientConnectorError:
            return None

    return str(await eventually(answered, within=40))


async def frame(socket: Any, *words: bytes) -> bytes:
    """What came until all of these did."""
    drawn = b""

    async def more() -> bool:
        nonlocal drawn
        message = await socket.receive(timeout=40)
        drawn += message.data if isinstance(message.data, bytes) else b""
        return all(word in drawn for word in words)

    await eventually(more, within=60)
    return drawn


async def test_a_browser_gets_the_page_and_live_frames_that_change_nothing(
    delta: CommandLine, dsn: str, session: Any
) -> None:
    await inform(dsn, "a")
    port = free_port()
    with delta.started("dash", "--serve", "--port", str(port)) as process:
        assert f"ws://127.0.0.1:{port}/ws" in await page(session, process)
        url = f"ws://127.0.0.1:{port}/ws?width=100&height=30"
        async with session.ws_connect(url, origin=f"http://127.0.0.1:{port}") as socket:
            await frame(socket, b"States by kind", b"[RO]", b"item")
            await socket.send_json(["stdin", "2"])
            assert b"invalidate" not in await frame(socket, b"OBJECT ID", b"unknown")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stdout is not None and process.stdout.read() == ""


async def test_the_page_needs_nothing_from_elsewhere(
    delta: CommandLine, dsn: str, session: Any
) -> None:
    port = free_port()
    here = f"http://127.0.0.1:{port}"
    with delta.started("dash", "--serve", "--port", str(port)) as process:
        text = await page(session, process)
        wanted = re.findall(r"""(?:src|href)="([^"]*)""", text)
        assert "/static/js/textual.js" in wanted and "/page/page.js" in wanted
        for address in wanted:
            if not address.startswith("data:"):
                async with session.get(here + address) as response:
                    assert response.status == 200, address
                    assert "://" not in (await response.text() if "/page/" in address else "")
        async with session.get(here) as response:
            policy = response.headers["Content-Security-Policy"]
        assert set(re.findall(r"[a-z]+://[^ ;:]+", text + policy)) == {"ws://127.0.0.1"}
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy


async def test_the_server_ends_at_once_also_while_somebody_looks(
    delta: CommandLine, dsn: str, session: Any
) -> None:
    port = free_port()
    with delta.started("dash", "--serve", "--port", str(port)) as process:
        await page(session, process)
        async with session.ws_connect(f"ws://127.0.0.1:{port}/ws") as socket:
            await frame(socket, b"States by kind")
            process.send_signal(signal.SIGINT)
            while not (await socket.receive(timeout=10)).type.name.startswith("CLOS"):
                pass
            assert await asyncio.to_thread(process.wait, 10) == 0


async def test_a_dashboard_that_cannot_start_says_why_and_ends_the_visit(
    delta: CommandLine, empty_dsn: str, session: Any
) -> None:
    port = free_port()
    arguments = ("--dsn", empty_dsn, "dash", "--serve", "--port", str(port))
    with delta.started(*arguments) as process:
        await page(session, process)
        async with session.ws_connect(f"ws://127.0.0.1:{port}/ws") as socket:
            assert b"delta migrate\r\n" in await frame(socket, b"error: ", b"hint: ")
            assert (await socket.receive(timeout=20)).type.name.startswith("CLOS")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stdout is not None and process.stdout.read() == ""


async def test_pages_of_other_sites_and_other_names_are_refused(
    delta: CommandLine, dsn: str, session: Any
) -> None:
    port = free_port()
    with delta.started("dash", "--serve", "--port", str(port), "--writable") as process:
        await page(session, process)
        # Somebody else may listen at the IPv6 address of the same port.
        for origin in ("https://elsewhere.com", f"http://localhost:{port}"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"ws://127.0.0.1:{port}/ws", origin=origin)
            assert refused.value.status == 403
        headers = {"Host": f"elsewhere.com:{port}"}  # a name that was bent to the loopback
        async with session.get(f"http://127.0.0.1:{port}/", headers=headers) as response:
            assert response.status == 403


def test_a_port_in_use_is_told(delta: CommandLine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = delta("dash", "--serve", "--port", str(port)).expect(2)
    assert f"port {port} of 127.0.0.1 cannot be used" in done.err and "--port" in done.err
