"""`--watch`: shows a list again whenever it changes, woken by events, until Ctrl-C.

A command gives how to read and how to write; without `--watch` each is done once.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from delta_cli.cli.durations import parse_duration
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.output import Format
from delta_cli.cli.session import open_client
from delta_cli.cli.settings import Settings
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
    from delta_cli.cli.watcher import watch

    return await watch(settings, read, write, form, look_every)
