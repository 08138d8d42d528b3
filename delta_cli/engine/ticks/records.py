"""Where a tick's standing and its runs are kept: in `delta_tick`, on the database's clock."""

import time
from datetime import datetime, timedelta
from typing import Protocol

from delta_cli.engine.database import Database
from delta_cli.engine.model.tick import SkipReason
from delta_cli.engine.store import ticks
from delta_cli.engine.store.ticks import BegunRun, RunEnd, TickSettings, TickStanding


class TickRecords(Protocol):
    """Keeps one tick. Each call may raise one of AWAY; times are of one clock."""

    async def register(self, *, replace: bool) -> None:
        """Make the tick known; `replace`: with our settings, whatever others said of it."""
        ...

    async def ask(self) -> TickStanding:
        """How the tick stands."""
        ...

    async def begin(self, run_id: str, *, forced: bool, actor: str | None) -> BegunRun | None:
        """Begin a run, holding the lock; None when it is not due. `actor`: who has forced it."""
        ...

    async def finish(self, run: BegunRun, end: RunEnd) -> datetime | None:
        """Close a run; None when somebody else has closed it."""
        ...

    async def skip(self, reason: SkipReason) -> datetime | None:
        """Keep that a tick did not begin; None when that was kept a moment ago."""
        ...

    async def fail(self, error: str) -> datetime | None:
        """Keep that a tick failed before it began."""
        ...

    def now(self) -> datetime | None:
        """About what time it is there; None when that is not known."""
        ...


class DatabaseClock:
    """Tells the database's time between two answers, also while it is away."""

    def __init__(self) -> None:
        self._at: datetime | None = None
        self._seen: float = 0.0  # time.monotonic()

    def set(self, at: datetime) -> None:
        """The database has just said what time it is."""
        self._at, self._seen = at, time.monotonic()

    def now(self) -> datetime | None:
        """What it would say now; None before it has ever said it."""
        if self._at is None:
            return None
        return self._at + timedelta(seconds=time.monotonic() - self._seen)


class TableRecords:
    """One tick of the fleet, on the database's clock."""

    def __init__(
        self, database: Database, settings: TickSettings, *, holder: str, clock: DatabaseClock
    ) -> None:
        self._clock: DatabaseClock = clock
        self._database: Database = database
        self._settings: TickSettings = settings
        self._holder: str = holder

    async def register(self, *, replace: bool) -> None:
        """Make the tick known."""
        async with self._database.connection() as connection:
            await ticks.register(connection, self._settings, replace=replace)

    async def ask(self) -> TickStanding:
        """How the tick stands; it is made known if it is not."""
        async with self._database.connection() as connection:
            standing = await ticks.ask(connection, self._settings.name)
            if standing is None:
                await ticks.register(connection, self._settings, replace=False)
                standing = await ticks.ask(connection, self._settings.name)
        if standing is None:  # somebody removed it at this very moment
            return TickStanding(None, self._settings.lock_id, paused=False)
        if standing.at is not None:
            self._clock.set(standing.at)
        return standing

    async def begin(self, run_id: str, *, forced: bool, actor: str | None) -> BegunRun | None:
        """Begin a run, holding the lock; None when it is not due."""
        holder = self._holder if actor is None else f"{self._holder} ({actor})"
        async with self._database.connection() as connection:
            return await ticks.begin(
                connection, self._settings.name, run_id=run_id, holder=holder, forced=forced
            )

    async def finish(self, run: BegunRun, end: RunEnd) -> datetime | None:
        """Close a run; None when somebody else has closed it."""
        async with self._database.connection() as connection:
            return await ticks.finish(connection, run, end)

    async def skip(self, reason: SkipReason) -> datetime | None:
        """Keep that a tick did not begin; None when that was kept a moment ago."""
        async with self._database.connection() as connection:
            return await ticks.skip(connection, self._settings.name, reason)

    async def fail(self, error: str) -> datetime | None:
        """Keep that a tick failed before it began."""
        async with self._database.connection() as connection:
            return await ticks.fail(connection, self._settings.name, error)

    def now(self) -> datetime | None:
        """About what time it is there."""
        return self._clock.now()
