"""Who is let in by `delta dash --serve`: whoever has the address that it printed, nobody else."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from delta_cli.dash.admission import Admission
from delta_cli.dash.serving import make_server
from tests.cli.conftest import delta
from tests.dash.test_serve import address, aiohttp, frame, free_port, page, session
from tests.support.command_line import CommandLine

__all__ = ["delta", "session"]

test_utils: Any = pytest.importorskip("aiohttp.test_utils", reason="needs the extra 'web'")

SENTENCE = "Open the address that `delta dash --serve` printed when it was started.\n"
PATHS = ("/", "/page/page.js", "/static/js/textual.js", "/ws", "/download/x", "/nothing")


@asynccontextmanager
async def served(port: int) -> AsyncIterator[Admission]:
    """The server within this process, with a shell in place of a visitor's dashboard."""
    admission = Admission(port)
    app = await make_server("read line; echo visited >&2", admission)._make_app()
    async with test_utils.TestServer(app, port=port):
        yield admission


@pytest.fixture
async def admission() -> AsyncIterator[Admission]:
    """What a server that runs lets in."""
    async with served(free_port()) as admission:
        yield admission


def secret_of(opened: str) -> str:
    [secret] = parse_qs(urlsplit(opened).query)["token"]
    return secret


async def status_of(session: Any, url: str, **given: Any) -> int:
    """How a page is answered; a refusal is one plain sentence, and gives nothing away."""
    async with session.get(url, allow_redirects=False, **given) as response:
        if response.status == 403:
            assert await response.text() == SENTENCE
            assert response.content_type == "text/plain" and not response.cookies
        return response.status


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_is_answered_without_the_secret(
    admission: Admission, session: Any, path: str
) -> None:
    for given in (
        {},
        {"params": {"token": ""}},
        {"params": {"token": "wrong"}},
        {"params": {"token": "wröng"}},
        {"headers": {"Cookie": f"{admission.cookie}=wrong"}},
        {"headers": {"Cookie": f"{admission.cookie}="}},
        {"headers": {"Cookie": f"another={secret_of(admission.address)}"}},
    ):
        assert await status_of(session, admission.origin + path, **given) == 403, given


async def test_the_secret_in_the_address_opens_nothing_but_the_page(
    admission: Admission, session: Any
) -> None:
    given = {"token": secret_of(admission.address)}
    for path in PATHS[1:]:
        assert await status_of(session, admission.origin + path, params=given) == 403


async def test_a_socket_is_refused_without_the_cookie_and_opened_with_it(
    admission: Admission, session: Any
) -> None:
    url = f"ws://127.0.0.1:{admission.port}/ws"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await session.ws_connect(url, origin=admission.origin)
    assert refused.value.status == 403
    assert await status_of(session, admission.address) == 302
    async with session.ws_connect(url, origin=admission.origin) as socket:
        await socket.send_json(["stdin", "a line\n"])
        assert await socket.receive_bytes(timeout=20) == b"visited\r\n"


async def test_the_first_visit_moves_the_secret_from_the_address_to_a_cookie(
    admission: Admission, session: Any
) -> None:
    opened = f"{admission.address}&fontsize=20"
    async with session.get(opened, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (302, "/?fontsize=20")
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cache-Control"] == "no-store"
        assert secret_of(opened) not in await response.text()
        [cookie] = response.headers.getall("Set-Cookie")
    name, *attributes = cookie.split("; ")
    assert name == f"delta-dash-{admission.port}={secret_of(opened)}"
    assert set(attributes) == {"HttpOnly", "Path=/", "SameSite=Strict"}
    for path in ("/", "/page/page.js", "/static/js/textual.js"):
        assert await status_of(session, admission.origin + path) == 200
    assert await status_of(session, f"{admission.origin}/nothing") == 404


async def test_a_link_of_another_site_leads_in_too(admission: Admission, session: Any) -> None:
    # A browser that is redirected from there keeps the cookie, and sends it not.
    given = {"headers": {"Sec-Fetch-Site": "cross-site"}}
    async with session.get(admission.address, allow_redirects=False, **given) as response:
        assert (response.status, response.headers["Refresh"]) == (200, "0; url=/")
        assert response.cookies[admission.cookie]["samesite"] == "Strict"


async def test_a_restart_makes_another_secret_and_the_old_one_is_worth_nothing(
    session: Any,
) -> None:
    port = free_port()
    async with served(port) as before:
        assert await status_of(session, before.address) == 302
        assert await status_of(session, before.origin) == 200
    async with served(port) as after:
        assert await status_of(session, after.origin) == 403  # by its cookie of before
        assert await status_of(session, before.address) == 403
        assert await status_of(session, after.address) == 302


async def test_localhost_leads_to_the_one_name_that_cookies_are_given_for(
    admission: Admission, session: Any
) -> None:
    headers = {"Host": f"localhost:{admission.port}"}
    for url in (admission.address, f"{admission.origin}/page/page.js"):
        async with session.get(url, headers=headers, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (302, url)
            assert not response.cookies


async def test_the_secret_is_in_no_log_and_not_with_the_process_of_a_visitor(
    delta: CommandLine, session: Any
) -> None:
    port = free_port()
    # With it aiohttp shows on stderr what it is asked.
    environ = {"PYTHONASYNCIODEBUG": "1"}
    with delta.started("dash", "--serve", "--port", str(port), environ=environ) as process:
        opened = await address(process)
        await page(session, process, opened)
        async with session.ws_connect(f"ws://127.0.0.1:{port}/ws") as socket:
            await frame(socket, b"States by kind")
            seen = shown_by_processes(process.pid)
            assert "--read-only" in seen and "DELTA_DSN" in seen
            assert secret_of(opened) not in seen
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stdout is not None and process.stderr is not None
        assert secret_of(opened) not in process.stdout.read() + process.stderr.read()


def shown_by_processes(parent: int) -> str:
    """The command lines and environments of a process and of all that it started."""
    if not Path("/proc/self/task").exists():
        pytest.skip("needs the /proc of Linux")
    named = (
        Path(f"/proc/{one}/{name}") for one in family(parent) for name in ("cmdline", "environ")
    )
    return "".join(path.read_bytes().decode(errors="replace") for path in named)


def family(parent: int) -> list[int]:
    started = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [parent, *(below for one in started for below in family(int(one)))]


def test_each_admission_has_a_long_secret_that_its_text_does_not_show() -> None:
    one, other = Admission(8000), Admission(8000)
    secret = secret_of(one.address)
    assert len(secret) >= 43 and secret not in repr(one)
    assert one.lets_in(secret) and not other.lets_in(secret)
    assert not any(one.lets_in(given) for given in (None, "", secret[:-1], secret + "x", "\udc80"))


def test_dashboards_at_two_ports_have_cookies_of_their_own() -> None:
    assert Admission(8000).cookie != Admission(8001).cookie


def test_the_port_of_http_is_left_away_as_browsers_do() -> None:
    assert Admission(80).is_from_here({"Host": "127.0.0.1", "Origin": "http://127.0.0.1"})
    assert Admission(80).address.startswith("http://127.0.0.1/?token=")
    assert not Admission(8000).is_from_here({"Host": "127.0.0.1"})
