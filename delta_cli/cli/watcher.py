"""Looks again and again, woken by events, and shows each look; the database may be away."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from delta_cli.cli import output
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.output import Format, Paper, Screen
from delta_cli.cli.session import open_client
from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import warn

if TYPE_CHECKING:
    from delta_cli.engine.client import Client

T = TypeVar("T")

#: A busy fleet has thousands of events a second, a person two eyes.
_LEAST_BETWEEN_S: Final = 0.25


async def watch(
    settings: Settings,
    read: "Callable[[Client], Awaitable[T]]",
    write: Callable[[T], None],
    form: Format,
    look_every: timedelta,
) -> ExitCode:
    """Read and write again and again until Ctrl-C, or until nobody reads it."""
    watcher = _Watcher(read, write, look_every)
    output.when_closed(asyncio.get_running_loop().add_reader, watcher.end)
    try:
        async with open_client(settings) as client:
            with output.watched(form) as paper:
                await watcher.run(client, paper)
    except asyncio.CancelledError:
        if not watcher.ended:
            raise
    return ExitCode.DONE


class _Watcher(Generic[T]):
    """Looks and shows. `ended`: nobody reads any more."""

    def __init__(
        self,
        read: "Callable[[Client], Awaitable[T]]",
        write: Callable[[T], None],
        look_every: timedelta,
    ) -> None:
        self.ended: bool = False
        self._read: Callable[[Client], Awaitable[T]] = read
        self._write: Callable[[T], None] = write
        self._look_every: timedelta = look_every
        self._is_away: bool = False
        self._task: asyncio.Task[object] | None = asyncio.current_task()

    def end(self) -> None:
        """Look no more."""
        if not self.ended and self._task is not None:
            self.ended = True
            self._task.cancel()

    async def run(self, client: "Client", paper: Screen | Paper) -> None:
        """Until cancelled."""
        # That the database is away is told here, once.
        logging.getLogger("delta_cli.engine.listener").setLevel(logging.ERROR)
        while True:
            await self._look(client, paper)
            await asyncio.sleep(_LEAST_BETWEEN_S)
            await client.changed(self._look_every)

    async def _look(self, client: "Client", paper: Screen | Paper) -> None:
        from delta_cli.cli.inform_run import database_now
        from delta_cli.engine.database import AWAY

        try:
            at = await database_now(client)
            data = await self._read(client)
        except AWAY as error:
            if not self._is_away:
                told = " ".join(str(error).split())
                warn(f"the database is away, and is asked again until it is back: {told}")
            self._is_away = True
            return
        self._is_away = False
        with output.looking(at) as frame:
            self._write(data)
        paper.show(frame)
