"""What keeps the dashboard up to date: the log by push, the tables in proportion to their cost.

Two loops read: one the events beyond the last one, the other the tables, so that a slow look at
these holds no event back. A hint wakes the first, and hints are merged over a quarter second;
without LISTEN it polls. When the server is away both try for ever, and the log goes on from the
last event, so that nothing is lost or shown twice.
"""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from textual.message import Message

from delta_cli.dash.log_reading import LogReader
from delta_cli.dash.messages import (
    Connected,
    ConnectionChanged,
    EventsArrived,
    Mode,
    SnapshotTaken,
)
from delta_cli.dash.store import NO_ANSWER_S, DashStore, reason_of
from delta_cli.engine.cancelling import cancel_all
from delta_cli.engine.hints import EVENT
from delta_cli.engine.listener import Listener

_MERGE_S: Final = 0.25
#: A hint may be lost with who would have sent it: so often the log is looked at anyway.
_LOOK_S: Final = 1.0
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 15.0
#: The tables are read for at most this share of the time.
_SHARE: Final = 10


@dataclass(slots=True)
class _Side:
    """One of the two loops: what it does, and how it fares. `why`: what failed; None: nothing."""

    read: Callable[[], Awaitable[None]]
    rest: Callable[[float], Awaitable[None]]
    tries: int = 0
    why: str | None = None


class Feed:
    """Posts what is new, until cancelled. `refresh_s`: how often the tables are read at most."""

    def __init__(
        self,
        store: DashStore,
        post: Callable[[Message], object],
        *,
        listen: bool = True,
        refresh_s: float = 1.0,
    ) -> None:
        self.refresh_s: float = refresh_s
        self._store: DashStore = store
        self._post: Callable[[Message], object] = post
        self._listens: bool = listen
        self._listener: Listener | None = None
        self._reader: LogReader = LogReader(store.database)
        self._log: _Side = _Side(self._read_log, self._until_hint)
        self._tables: _Side = _Side(self._read_tables, self._until_due)
        self._told: Connected | None = None
        self._has_listened: bool = False
        self._taken_s: float = 0.0
        self._hint: asyncio.Event = asyncio.Event()
        self._due: asyncio.Event = asyncio.Event()
        self._now: asyncio.Event = asyncio.Event()
        self._has_looked: asyncio.Event = asyncio.Event()

    async def run(self) -> None:
        """Read for ever."""
        listening = self._start_listener()
        loops = [asyncio.create_task(self._keep_on(side)) for side in (self._log, self._tables)]
        try:
            await asyncio.gather(*loops)
        finally:
            await cancel_all(*loops, *listening)

    def reconnect(self) -> None:
        """Try now, however long the next try would have waited."""
        self._now.set()
        self._hint.set()
        self._due.set()

    def refresh(self) -> None:
        """Read the tables now: something was changed from here."""
        self._due.set()

    def _start_listener(self) -> list[asyncio.Task[None]]:
        if not self._listens or self._store.database.is_pooled:
            return []
        self._listener = Listener(
            self._store.database,
            echo_from=self._store.database,
            identity=f"{os.getpid()}-{id(self):x}-dash",
        )
        self._listener.on(EVENT, self._heard)
        return [asyncio.create_task(self._listener.run((EVENT,)))]

    def _heard(self, payload: str | None) -> None:
        # Once that was tried, with whatever success, all who wait for hints are woken.
        self._has_listened = self._has_listened or payload is None
        if payload is None and self._listener is not None and not self._listener.connected:
            self._reader.fall_silent()
        self._hint.set()

    async def _keep_on(self, side: _Side) -> None:
        while True:
            begin = time.monotonic()
            try:
                async with asyncio.timeout(NO_ANSWER_S):
                    await side.read()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is shown, and tried again
                await self._lost(side, error)
                continue
            side.tries, side.why = 0, None
            self._tell()
            await side.rest(begin)

    # The log

    async def _read_log(self) -> None:
        self._hint.clear()
        try:
            found = await self._reader.read()
        finally:
            self._has_looked.set()
        listener = self._listener
        is_over = self._log.tries > 0 or listener is None or listener.connected
        gap = self._reader.end_of_silence() if is_over else None
        if (found or gap is not None) and self._reader.position is not None:
            self._post(EventsArrived(found, self._reader.position, gap))

    async def _until_hint(self, begin: float) -> None:
        """Until a hint, or until it is time to look; but hints that come together are one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(_LOOK_S, self.refresh_s)):
                await self._hint.wait()
        await asyncio.sleep(max(0.0, begin + _MERGE_S - time.monotonic()))

    # The tables

    async def _read_tables(self) -> None:
        self._due.clear()
        # First the log so far: a snapshot is shown with what its events add up to.
        await self._has_looked.wait()
        begin = time.monotonic()
        snapshot = await self._store.tables.snapshot()
        self._taken_s = time.monotonic() - begin
        self._post(SnapshotTaken(snapshot, self._taken_s))

    async def _until_due(self, begin: float) -> None:
        """Until the tables have rested, or something was changed from here."""
        rested_at = begin + max(self.refresh_s, _SHARE * self._taken_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.02, rested_at - time.monotonic())):
                await self._due.wait()

    # The connection

    async def _lost(self, side: _Side, error: Exception) -> None:
        if side is self._log:
            self._reader.fall_silent()
        side.tries += 1
        side.why = reason_of(error, self._store.database)
        self._tell()
        longest = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(side.tries - 1, 10))
        self._now.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest * random.uniform(0.5, 1.0)):
                await self._now.wait()

    def _tell(self) -> None:
        connected = self._connected()
        if connected is not None and connected != self._told:
            self._told = connected
            self._post(ConnectionChanged(connected))

    def _connected(self) -> Connected | None:
        """How the connection stands: lost as long as either loop fails; None before it is known."""
        lost = max((self._log, self._tables), key=lambda side: side.tries)
        if lost.tries:
            return Connected(Mode.RECONNECTING, lost.tries, lost.why)
        listener = self._listener
        if listener is not None and not self._has_listened:
            return None
        mode = Mode.LIVE if listener is not None and listener.connected else Mode.POLL
        return Connected(mode, lag_ms=listener.lag_ms if listener else None)
