"""A service's records while no client has attached it: in memory, on this machine's clock.

There is no other clock then, and no other machine whose times could be compared with these.
"""

import time
from datetime import UTC, datetime, timedelta

from delta_cli.engine.model.tick import SkipReason
from delta_cli.engine.store.ticks import BegunRun, RunEnd, TickSettings, TickStanding


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

    async def begin(self, run_id: str, *, forced: bool, actor: str | None) -> BegunRun | None:
        """Begin a run; None when it is not due."""
        now, interval_s, due = time.monotonic(), self._settings.interval_s, self._next_due
        if due is not None and due > now and not forced:
            return None
        base = due if due is not None and now - interval_s < due <= now else now
        self._next_due = base + interval_s
        self._begun += 1
        return BegunRun(self._begun, self.now())

    async def finish(self, run: BegunRun, end: RunEnd) -> datetime | None:
        """Close a run."""
        elapsed = timedelta(milliseconds=end.duration_ms or 0.0)
        return run.started_at + elapsed

    async def skip(self, reason: SkipReason) -> datetime | None:
        """A tick did not begin."""
        return self.now()

    async def fail(self, error: str) -> datetime | None:
        """A tick failed before it began."""
        return self.now()

    def now(self) -> datetime:
        """The time of day here."""
        return datetime.now(UTC)
