"""What keeps the dashboard up to date: the log by push, the tables in proportion to their cost.

One loop reads: first the events beyond the last one, then the tables. A hint wakes it, and hints
are merged over a quarter second; without LISTEN it polls. When the server is away it tries for
ever and goes on from the last event, so that nothing is lost or shown twice.
"""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from textual.message import Message

from delta_cli.dash.messages import (
    Connected,
    ConnectionChanged,
    EventsArrived,
    Gap,
    Mode,
    SnapshotTaken,
)
from delta_cli.dash.store import DashStore
from delta_cli.engine.cancelling import cancel_all
from delta_cli.engine.database import AWAY, Connection
from delta_cli.engine.dsn import mask_secrets
from delta_cli.engine.errors import SchemaError
from delta_cli.engine.explain import explain
from delta_cli.engine.hints import EVENT
from delta_cli.engine.listener import Listener
from delta_cli.engine.model import Event
from delta_cli.engine.store import events
from delta_cli.engine.store.events import EventFilter

#: Events that are kept, and so at most read after a silence.
RING: Final = 5_000
#: Lines of a log: the events, and the gaps between them.
LOG_LINES: Final = RING + 100
_PAGE: Final = 1_000
_MERGE_S: Final = 0.25
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 15.0
_NO_ANSWER_S: Final = 10.0
#: The tables are read for at most this share of the time.
_SHARE: Final = 10


@dataclass(slots=True)
class _Silence:
    """Since when nothing was heard, from which event on, and what was read of it by now."""

    since: float
    from_id: int
    found: int = 0
    missed: int = 0


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
        self._position: int | None = None
        self._silence: _Silence | None = None
        self._is_away: bool = False
        self._tries: int = 0
        self._told: Connected | None = None
        self._next_snapshot: float = 0.0
        self._wake: asyncio.Event = asyncio.Event()
        self._now: asyncio.Event = asyncio.Event()

    @property
    def position(self) -> int | None:
        """The id of the last event that was read; None before the first look."""
        return self._position

    async def run(self) -> None:
        """Read for ever."""
        listening = self._start_listener()
        try:
            while True:
                await self._once()
        finally:
            await cancel_all(*listening)

    def reconnect(self) -> None:
        """Try now, however long the next try would have waited."""
        self._now.set()
        self._wake.set()

    def refresh(self) -> None:
        """Read the tables now: something was changed from here."""
        self._next_snapshot = 0.0
        self._wake.set()

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
        if payload is None and self._listener is not None and not self._listener.connected:
            self._fall_silent()
        self._wake.set()

    def _fall_silent(self) -> None:
        if self._silence is None and self._position is not None:
            self._silence = _Silence(time.monotonic(), self._position)

    async def _once(self) -> None:
        begin = time.monotonic()
        try:
            async with asyncio.timeout(_NO_ANSWER_S):
                await self._read_events()
            self._connected()
            if begin >= self._next_snapshot:
                async with asyncio.timeout(_NO_ANSWER_S):
                    await self._read_tables()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is shown, and tried again
            await self._lost(error)
            return
        await self._rest(begin)

    async def _rest(self, begin: float) -> None:
        """Until a hint, or until it is time to look; but hints that come together are one."""
        until_merged = _MERGE_S - (time.monotonic() - begin)
        if until_merged > 0 and self._wake.is_set():
            await asyncio.sleep(until_merged)
        pause = max(0.02, min(self.refresh_s, self._next_snapshot - time.monotonic()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._wake.wait()
        until_merged = _MERGE_S - (time.monotonic() - begin)
        if until_merged > 0:
            await asyncio.sleep(until_merged)
        self._wake.clear()

    # The log

    async def _read_events(self) -> None:
        async with self._store.database.connection() as connection:
            if self._position is None:
                bounds = await events.bounds(connection)
                self._position = max(0, bounds.oldest - 1, bounds.newest - RING)
            await self._skip_what_is_too_much(connection)
            found = await self._read_pages(connection)
        gap = self._end_of_silence(found)
        if found or gap is not None:
            self._post(EventsArrived(found, self._position, gap))

    async def _skip_what_is_too_much(self, connection: Connection) -> None:
        """Of more events than are kept only the newest are read; how many are not is told."""
        assert self._position is not None
        bounds = await events.bounds(connection)
        too_many = bounds.newest - self._position - RING
        if too_many > 0:
            self._fall_silent()
            if self._silence is not None:
                self._silence.missed += too_many
            self._position += too_many

    async def _read_pages(self, connection: Connection) -> list[Event]:
        """All up to now, but no more than are kept; the rest comes with the next look."""
        assert self._position is not None
        found: list[Event] = []
        while len(found) < RING:
            page = await events.page(
                connection, EventFilter(), after_id=self._position, limit=_PAGE
            )
            cut = 0 if page.bounds is None else page.bounds.oldest - self._position - 1
            if cut > 0 and self._silence is not None:
                self._silence.missed += cut
            if page.events:
                self._position = page.events[-1].id
                found += page.events
            if len(page.events) < _PAGE:
                break
        return found

    def _end_of_silence(self, found: Sequence[Event]) -> Gap | None:
        """What to draw before these events, if with them the silence is over."""
        silence = self._silence
        if silence is None:
            return None
        silence.found += len(found)
        if not (self._is_away or self._listener is None or self._listener.connected):
            return None
        self._silence = None
        return Gap(time.monotonic() - silence.since, silence.found, silence.missed, silence.from_id)

    # The tables

    async def _read_tables(self) -> None:
        begin = time.monotonic()
        snapshot = await self._store.snapshot()
        taken_s = time.monotonic() - begin
        self._next_snapshot = begin + max(self.refresh_s, _SHARE * taken_s)
        self._post(SnapshotTaken(snapshot, taken_s))

    # The connection

    def _connected(self) -> None:
        self._is_away, self._tries = False, 0
        listener = self._listener
        mode = Mode.LIVE if listener is not None and listener.connected else Mode.POLL
        self._tell(Connected(mode, lag_ms=listener.lag_ms if listener else None))

    async def _lost(self, error: Exception) -> None:
        if isinstance(error, (*AWAY, TimeoutError)) or self._tries > 0:
            self._fall_silent()
            self._is_away = True
        self._tries += 1
        self._tell(Connected(Mode.RECONNECTING, self._tries, self._reason(error)))
        longest = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(self._tries - 1, 10))
        self._now.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest * random.uniform(0.5, 1.0)):
                await self._now.wait()
        self._next_snapshot = 0.0

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {_NO_ANSWER_S:.0f} s"
        database = self._store.database
        meaning = explain(error, database.dsn, database.schema)
        if meaning is None:
            return mask_secrets(f"{type(error).__name__}: {error}")
        if isinstance(meaning, SchemaError) and meaning.hint:
            return f"{meaning.hint} ({meaning.message})"
        return meaning.message

    def _tell(self, connected: Connected) -> None:
        if connected != self._told:
            self._told = connected
            self._post(ConnectionChanged(connected))
