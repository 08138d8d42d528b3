"""`--watch`: shows a list again whenever it changes, woken by events, until Ctrl-C.

A command gives how to read and how to write; without `--watch` each is done once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final, Generic, TypeVar

import typer

from delta_cli.cli import output
from delta_cli.cli.durations import parse_duration
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.output import Format, Paper, Screen
from delta_cli.cli.session import open_client
from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import warn
from delta_cli.engine.errors import ConfigError

if TYPE_CHECKING:
    from delta_cli.engine.client import Client

T = TypeVar("T")

WatchOption = Annotated[
    bool,
    typer.Option("--watch", "-w", help="Show it again whenever it changes, until Ctrl-C."),
]
IntervalOption = Annotated[
    str | None,
    typer.Option(
        "--interval",
        metavar="DURATION",
        help="With --watch: look at least so often (default: 2s).",
    ),
]

_INTERVAL: Final = timedelta(seconds=2)
#: A busy fleet has thousands of events a second, a person two eyes.
_LEAST_BETWEEN_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Watching:
    """Whether and how often to look again. `interval` None: every two seconds."""

    wanted: bool
    interval: str | None

    def look_every(self) -> timedelta | None:
        """How long to wait for a change; None: look once. Raises ConfigError."""
        if not self.wanted:
            if self.interval is not None:
                raise ConfigError("--interval belongs to --watch", hint="give both or neither")
            return None
        if self.interval is None:
            return _INTERVAL
        interval = parse_duration(self.interval, "--interval")
        if not interval:
            raise ConfigError("--interval must be longer than zero")
        return interval


async def show(
    settings: Settings,
    read: "Callable[[Client], Awaitable[T]]",
    write: Callable[[T], None],
    form: Format,
    watching: Watching,
) -> ExitCode | None:
    """Read and write once, or again and again until Ctrl-C or until nobody reads it."""
    look_every = watching.look_every()
    if look_every is None:
        async with open_client(settings) as client:
            data = await read(client)
        write(data)
        return None
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
