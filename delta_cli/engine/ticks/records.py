"""Where a tick's standing and its runs are kept: in `delta_tick`, or in memory alone."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from delta_cli.engine.database import Database
from delta_cli.engine.model import SkipReason
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

    async def begin(self, run_id: str, *, forced: bool) -> BegunRun | None:
        """Begin a run, holding the lock; None when it is not due."""
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


class TableRecords:
    """One tick of the fleet, on the database's clock."""

    def __init__(self, database: Database, settings: TickSettings, *, holder: str) -> None:
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
        return standing or TickStanding(None, self._settings.lock_id, paused=False)

    async def begin(self, run_id: str, *, forced: bool) -> BegunRun | None:
        """Begin a run, holding the lock; None when it is not due."""
        async with self._database.connection() as connection:
            return await ticks.begin(
                connection, self._settings.name, run_id=run_id, holder=self._holder, forced=forced
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


class MemoryRecords:
    """One tick of a service that no client has attached: on a grid of its own."""

    def __init__(self, settings: TickSettings) -> None:
        self._settings: TickSettings = settings
        self._next_due: float | None = None  # time.monotonic()
        self._begun: int = 0

    async def register(self, *, replace: bool) -> None:
        """There is nobody to know it."""

    async def ask(self) -> TickStanding:
        """How the tick stands."""
        due_in_s = None if self._next_due is None else self._next_due - time.monotonic()
        return TickStanding(due_in_s, self._settings.lock_id, paused=False)

    async def begin(self, run_id: str, *, forced: bool) -> BegunRun | None:
        """Begin a run; None when it is not due."""
        now, interval_s = time.monotonic(), self._settings.interval_s
        if self._next_due is not None and self._next_due > now and not forced:
            return None
        on_grid = self._next_due is not None and now - interval_s < self._next_due <= now
        self._next_due = (self._next_due if on_grid and self._next_due else now) + interval_s
        self._begun += 1
        return BegunRun(self._begun, _now())

    async def finish(self, run: BegunRun, end: RunEnd) -> datetime | None:
        """Close a run."""
        elapsed = timedelta(milliseconds=end.duration_ms or 0.0)
        return run.started_at + elapsed

    async def skip(self, reason: SkipReason) -> datetime | None:
        """A tick did not begin."""
        return _now()

    async def fail(self, error: str) -> datetime | None:
        """A tick failed before it began."""
        return _now()


def _now() -> datetime:
    return datetime.now(UTC)
