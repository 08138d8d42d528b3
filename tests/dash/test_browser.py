"""`delta dash --serve` in a real browser, driven through Chromium's debugging socket."""

import asyncio
import base64
import itertools
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import delta
from tests.dash.conftest import inform
from tests.dash.test_serve import address, free_port, session
from tests.support.command_line import CommandLine
from tests.support.waiting import eventually

__all__ = ["delta", "session"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the path")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--remote-debugging-port=0",
)


class Tab:
    """A tab: what it asked the network for, and what the terminal in it was sent."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.asked: list[str] = []
        self.drawn = b""
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            told = message.json()
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
            elif told["method"] == "Network.requestWillBeSent":
                self.asked.append(told["params"]["request"]["url"])
            elif told["method"] == "Network.webSocketFrameReceived":
                frame = told["params"]["response"]
                if frame["opcode"] == 2:
                    self.drawn += base64.b64decode(frame["payloadData"])

    async def do(self, method: str, **parameters: Any) -> Any:
        """Say something to the browser, and wait for its answer."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        return (await asyncio.wait_for(answer, 30)).get("result")

    async def text_of(self, script: str) -> str:
        return str((await self.do("Runtime.evaluate", expression=script))["result"].get("value"))

    async def press(self, key: str) -> None:
        await self.do("Input.dispatchKeyEvent", type="keyDown", text=key, key=key)
        await self.do("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def opens(self, url: str) -> None:
        """Go there once it is served."""

        async def opened() -> bool:
            return "errorText" not in await self.do("Page.navigate", url=url)

        await eventually(opened, within=40)

    async def draws(self, words: bytes) -> None:
        await eventually(lambda: words in self.drawn, within=60)

    async def says(self, words: str, script: str) -> None:
        async def said() -> bool:
            return words in await self.text_of(script)

        await eventually(said, within=60)


@pytest.fixture
async def tab(session: Any, tmp_path: Path) -> AsyncIterator[Tab]:
    """A tab of a browser that knows nothing yet."""
    assert CHROMIUM is not None
    flags = (*FLAGS, f"--user-data-dir={tmp_path}", "about:blank")
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(CHROMIUM, *flags, stdout=quiet, stderr=quiet)
    try:
        told = tmp_path / "DevToolsActivePort"
        await eventually(lambda: told.exists() and told.read_text().count("\n"), within=60)
        port = told.read_text().split()[0]
        async with session.get(f"http://127.0.0.1:{port}/json/list") as response:
            address = next(one for one in await response.json() if one["type"] == "page")
        async with session.ws_connect(address["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            tab = Tab(socket)
            await tab.do("Network.enable")
            yield tab
    finally:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()


@pytest.mark.timeout(120)
async def test_a_browser_has_keys_at_once_loads_nothing_from_elsewhere_and_tells_of_a_restart(
    delta: CommandLine, dsn: str, session: Any, tab: Tab
) -> None:
    await inform(dsn, "帳簿-1")
    port = free_port()
    command = ("dash", "--serve", "--port", str(port))
    with delta.started(*command) as process:
        await tab.opens(await address(process))
        await tab.draws(b"States by kind")
        assert await tab.text_of("location.href + document.cookie") == f"http://127.0.0.1:{port}/"
        assert await tab.text_of("document.title") == "Delta"
        await tab.press("2")
        await tab.draws("帳簿-1".encode())
        assert {one.split("/")[2] for one in tab.asked if "://" in one} == {f"127.0.0.1:{port}"}
        process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(process.wait, 20) == 0
        await tab.says("does not answer", "document.getElementById('ended').innerText")
    tab.drawn = b""
    with delta.started(*command) as process:
        await tab.says("open its new address", "document.getElementById('ended').innerText")
        # As from another tab: this one goes on by itself.
        await tab.text_of(f"fetch({await address(process)!r})")
        await tab.draws(b"States by kind")
        await tab.press("q")
        await tab.says("has ended", "document.getElementById('ended').innerText")
        process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(process.wait, 20) == 0
