"""Opens the dashboard, or draws one frame of it without a terminal."""

import asyncio
import contextlib
import io
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from rich.console import Console

from delta_cli.dash.app import DeltaDash
from delta_cli.dash.options import Options
from delta_cli.dash.snapshot import Snapshot
from delta_cli.dash.store import DashStore
from delta_cli.engine.client import Client
from delta_cli.engine.errors import WaitTimeout
from delta_cli.engine.garbage import look_less_often

_FRAME_WITHIN_S: Final = 15.0
_POLL_S: Final = 0.05
_GC_THRESHOLDS: Final = (5_000, 20, 10)


@asynccontextmanager
async def open_store(client: Client, *, read_only: bool) -> AsyncIterator[DashStore]:
    """An open store. Raises ConfigError when it should be read-only and is not."""
    store = DashStore(client)
    await store.open()
    try:
        if read_only:
            await store.require_read_only()
        yield store
    finally:
        await store.close()


async def run_dash(client: Client, options: Options) -> int:
    """Show the dashboard until it is left. Returns the status of its end."""
    with quiet_logs():
        async with open_store(client, read_only=options.read_only) as store:
            app = DeltaDash(store, options, when_ready=spare_the_collector)
            await app.run_async()
            return app.return_code or 0


def spare_the_collector() -> None:
    """Keep the garbage collector off what stays for good, and let it come less often.

    A full collection of some 300,000 objects, most of them style sheets, took 55 to 100 ms every
    other second under load, in which no key was answered; so it takes 10.
    """
    look_less_often(*_GC_THRESHOLDS)


async def take_snapshot(client: Client, options: Options) -> Snapshot:
    """All that a frame shows, counted to the end."""
    async with open_store(client, read_only=options.read_only) as store:
        async with asyncio.timeout(_FRAME_WITHIN_S):
            while not (snapshot := await store.tables.snapshot()).counted:
                pass
        return snapshot


async def draw_frame(
    client: Client, options: Options, size: tuple[int, int], *, as_svg: bool
) -> str:
    """One frame, as text or as SVG. Raises WaitTimeout when the data does not come."""
    with quiet_logs():
        async with open_store(client, read_only=options.read_only) as store:
            app = DeltaDash(store, options)
            async with app.run_test(size=size) as pilot:
                try:
                    async with asyncio.timeout(_FRAME_WITHIN_S):
                        await _until_drawn(app)
                except TimeoutError:
                    raise WaitTimeout(
                        f"the data for a frame did not come within {_FRAME_WITHIN_S:.0f} s"
                    ) from None
                await pilot.pause()
                return app.export_screenshot() if as_svg else screen_text(app)


async def _until_drawn(app: DeltaDash) -> None:
    while app.state.snapshot is None or not app.state.snapshot.counted or app.is_reading:
        await asyncio.sleep(_POLL_S)


def screen_text(app: DeltaDash) -> str:
    """What stands on the screen, without colours."""
    width, height = app.size
    console = Console(
        width=width, height=height, file=io.StringIO(), record=True, legacy_windows=False
    )
    # What Textual's own export of a screenshot does; it has no public way to the text.
    console.print(app.screen._compositor.render_update(full=True))  # noqa: SLF001
    lines = console.export_text().splitlines()
    return "\n".join(line.rstrip() for line in lines).rstrip("\n")


@contextlib.contextmanager
def quiet_logs() -> Iterator[None]:
    """No log line is written across the screen; what goes wrong is shown there."""
    loggers = [logging.getLogger(name) for name in ("", "delta_cli", "psycopg")]
    before = [(logger, logger.handlers[:], logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [logging.NullHandler()], False
    try:
        yield
    finally:
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate
