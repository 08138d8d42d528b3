"""The dashboard on a real database, driven by keys, and what stands on its screen."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot

from delta_cli import Client
from delta_cli.dash.app import DeltaDash
from delta_cli.dash.counting import Counts
from delta_cli.dash.options import Options
from delta_cli.dash.running import open_store, screen_text
from delta_cli.engine.objects import encode_raw
from tests.support.observing import observer
from tests.support.processes import workers
from tests.support.waiting import eventually

__all__ = ["observer", "workers"]


class Driven:
    """A dashboard that runs, its keys and its screen."""

    def __init__(self, app: DeltaDash, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def screen(self) -> str:
        """What stands on the screen."""
        return screen_text(self.app)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def write(self, text: str) -> None:
        """Type text and enter it."""
        names = {":": "colon", "/": "slash", " ": "space", ",": "comma", "_": "underscore"}
        await self.pilot.press(*(names.get(one, one) for one in text), "enter")

    async def shows(self, *words: str, within: float = 40.0) -> str:
        """Wait until all of these stand on the screen. Returns the screen."""

        def seen() -> bool:
            self._check()
            screen = self.screen
            return all(word in screen for word in words)

        try:
            await eventually(seen, within=within)
        except pytest.fail.Exception as error:
            pytest.fail(f"{words} not within {within:g} s: {error}\n{self.screen}")
        return self.screen

    async def until(self, condition: Callable[[], Any], *, within: float = 40.0) -> Any:
        """Wait for a condition of the app."""

        def met() -> Any:
            self._check()
            return condition()

        return await eventually(met, within=within)

    def _check(self) -> None:
        error = self.app._exception
        if error is not None:
            raise error


Dash = Callable[..., AbstractAsyncContextManager[Driven]]


@asynccontextmanager
async def open_dash(
    dsn: str, *, size: tuple[int, int] = (120, 40), look: int | None = None, **options: Any
) -> AsyncIterator[Driven]:
    """A dashboard on a database, once it has read everything."""
    chosen = Options(**{"where": "test", "actor": "dash:tester", "refresh_s": 0.5} | options)
    async with Client(dsn) as client, open_store(client, read_only=False) as store:
        if look is not None:
            store.tables._counts = Counts(look)
        app = DeltaDash(store, chosen)
        async with app.run_test(size=size, notifications=True) as pilot:
            driven = Driven(app, pilot)
            await driven.until(lambda: app.state.snapshot is not None)
            yield driven


@pytest.fixture
def dash(dsn: str) -> Dash:
    """Opens dashboards on the test's own database."""

    def opened(**options: Any) -> AbstractAsyncContextManager[Driven]:
        return open_dash(dsn, **options)

    return opened


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames look alike wherever they are drawn."""
    for name in list(os.environ):
        settings = name.startswith(("TEXTUAL_", "DELTA_"))
        # The plug-in that compares snapshots keeps its own place there.
        if name in ("NO_COLOR", "COLORTERM") or (settings and "SNAPSHOT" not in name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")


async def inform(dsn: str, *ids: str, kind: str = "item", namespace: str = "default") -> None:
    """Store objects."""
    from delta_cli import InformOpts

    async with Client(dsn) as client:
        opts = InformOpts(namespace=namespace)
        await client.inform_many((encode_raw(kind, one, {"key": one}) for one in ids), opts)
