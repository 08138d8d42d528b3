"""Looks again and again, woken by events, and shows each look; the database may be away.

A look that takes long may be slow, or wait for a server that does not answer: it does not tell
which. So it is not waited for in silence: the server is asked meanwhile.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from delta_cli.cli import output
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.frame import Stale
from delta_cli.cli.output import Format, Paper, Screen
from delta_cli.cli.session import open_client
from delta_cli.cli.settings import Settings

if TYPE_CHECKING:
    from delta_cli.engine.client import Client

T = TypeVar("T")

#: A busy fleet has thousands of events a second, a person two eyes.
_LEAST_BETWEEN_S: Final = 0.25
#: A look that takes longer than this may have no connection to look by.
_PATIENCE_S: Final = 0.5
#: A look that is merely slow, of a server that answers, is left alone for as long as this.
_LONGER_PATIENCE_S: Final = 5.0
#: A server that is there lets somebody in within this time.
_ANSWERS_WITHIN_S: Final = 3.0
#: A server says so that is there and has no connection left; libpq tells no code of it.
_FULL: Final = ("too many clients", "too many connections", "connection slots are reserved")
#: While the database is away, however seldom it is to be looked at.
_ASK_AGAIN: Final = timedelta(seconds=2)


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
        self._away: str | None = None  # why
        self._looked: float = time.monotonic()
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
            every = self._look_every
            await client.changed(every if self._away is None else min(every, _ASK_AGAIN))

    async def _look(self, client: "Client", paper: Screen | Paper) -> None:
        from delta_cli.engine.database import AWAY

        try:
            at, data = await self._data(client, paper)
        except AWAY as error:
            # A pool that gave up knows less than the server that was asked meanwhile.
            self._tell_away(paper, self._away or str(error))
            return
        self._away, self._looked = None, time.monotonic()
        with output.looking(at) as frame:
            self._write(data)
        paper.show(frame)

    async def _data(self, client: "Client", paper: Screen | Paper) -> tuple[datetime, T]:
        """What there is now. Tells what is the matter with the database while that takes long."""
        from delta_cli.engine.cancelling import cancel_all

        reading = asyncio.create_task(self._read_now(client))
        patience_s = _PATIENCE_S
        try:
            while not (await asyncio.wait({reading}, timeout=patience_s))[0]:
                trouble = await _trouble(client)
                patience_s = _LONGER_PATIENCE_S if trouble is None else _PATIENCE_S
                if trouble is not None:
                    self._tell_away(paper, trouble)
                elif self._away is not None:
                    # It is back, of which the pool takes note later than a new request.
                    await cancel_all(reading)
                    self._away = None
                    reading = asyncio.create_task(self._read_now(client))
            return reading.result()
        finally:
            await cancel_all(reading)

    async def _read_now(self, client: "Client") -> tuple[datetime, T]:
        from delta_cli.cli.inform_run import database_now

        return await database_now(client), await self._read(client)

    def _tell_away(self, paper: Screen | Paper, why: str) -> None:
        self._away = why
        told = f"the database is away, and is asked again until it is back: {' '.join(why.split())}"
        paper.tell_stale(Stale(told, time.monotonic() - self._looked))


async def _trouble(client: "Client") -> str | None:
    """Why the server serves nobody now; None: it does, if maybe nobody new."""
    from delta_cli.engine.database import AWAY

    try:
        async with asyncio.timeout(_ANSWERS_WITHIN_S):
            await client.database.prove_server()
    except TimeoutError:
        return "it does not answer"
    except AWAY as error:
        why = str(error)
        return None if any(words in why for words in _FULL) else why
    return None
