"""A service's health: at once in memory, and owed to the table until it could be written there."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from delta_cli.engine.database import AWAY
from delta_cli.engine.failures import description_of
from delta_cli.engine.model.tick import SkipReason, TickOutcome, WorkerHealth
from delta_cli.engine.store.ticks import BegunRun, RunEnd
from delta_cli.engine.ticks.base import ComponentLogger, Run
from delta_cli.engine.ticks.health import after_failure, after_skip, after_start, after_success
from delta_cli.engine.ticks.records import TickRecords


@dataclass(frozen=True, slots=True, eq=False)
class _Debt:
    """Something that the table is still to be told. `moment`: the field of health that it dates."""

    write: Callable[[], Awaitable[datetime | None]]
    moment: str | None
    is_skip: bool = False


class TickBook:
    """What is known of one service. `records` is where else than in memory it is kept."""

    def __init__(self, records: TickRecords, log: ComponentLogger) -> None:
        self.records: TickRecords = records
        self.health: WorkerHealth = WorkerHealth()
        self._log: ComponentLogger = log
        self._owed: list[_Debt] = []
        self._writing: asyncio.Lock = asyncio.Lock()

    def move(self, records: TickRecords) -> None:
        """Keep it elsewhere from now on; what is still owed is forgotten."""
        self.records = records
        self._owed.clear()

    def started(self, begun: BegunRun) -> None:
        """A run has begun."""
        self.health = after_start(self.health, begun.started_at)

    def succeeded(self, begun: BegunRun, run: Run, duration_ms: float) -> None:
        """A run has succeeded."""
        self.health = after_success(
            self.health,
            self.records.now(),
            count=run.count,
            count_key=run.count_key,
            duration_ms=duration_ms,
        )
        end = RunEnd(TickOutcome.SUCCESS, duration_ms, run.count, run.count_key)
        self._owe_end(begun, end, "last_success")

    def failed(self, begun: BegunRun | None, run: Run, duration_ms: float, error: str) -> None:
        """A tick has failed, in its run or before it could begin."""
        if begun is None:
            self.health = after_failure(self.health, self.records.now(), error)
            self._owe(_Debt(lambda: self.records.fail(error), "last_failure"))
            return
        self.health = after_failure(self.health, self.records.now(), error, duration_ms=duration_ms)
        end = RunEnd(TickOutcome.FAILED, duration_ms, run.count, run.count_key, error)
        self._owe_end(begun, end, "last_failure")

    def skipped(self, begun: BegunRun | None, reason: SkipReason) -> None:
        """A tick did not begin, or what it began was no run."""
        self.health = after_skip(self.health, self.records.now(), reason)
        if begun is not None:
            end = RunEnd(TickOutcome.SKIPPED, error=reason.value, skip_reason=reason)
            self._owe_end(begun, end, "last_skip")
            return
        if self._owed and self._owed[-1].is_skip:
            self._owed.pop()  # an outage may be long: its last skip says it all
        self._owe(_Debt(lambda: self.records.skip(reason), "last_skip", is_skip=True))

    def stopped(self, begun: BegunRun) -> None:
        """This process ends: neither a failure nor a skip, but the run is over."""
        self._owe_end(begun, RunEnd(TickOutcome.SKIPPED, error="stopped"), None)

    def _owe_end(self, begun: BegunRun, end: RunEnd, moment: str | None) -> None:
        self._owe(_Debt(lambda: self.records.finish(begun, end), moment))

    def _owe(self, debt: _Debt) -> None:
        self._owed.append(debt)

    async def write(self) -> None:
        """Tell the table what it does not know yet; memory then takes the table's times.

        Raises one of AWAY, and keeps what could not be written.
        """
        async with self._writing:
            while self._owed:
                debt = self._owed[0]
                at = await self._pay(debt)
                if debt in self._owed:
                    self._owed.remove(debt)
                if at is not None and debt.moment is not None:
                    self.health = replace(self.health, **{debt.moment: at})

    async def _pay(self, debt: _Debt) -> datetime | None:
        try:
            return await debt.write()
        except AWAY:
            raise
        except Exception:  # noqa: BLE001 - refused for good, it must not hold up all that follows
            self._log.exception("tick cannot be kept")
            return None

    async def write_if_there(self) -> None:
        """As `write()`, but while the database is away it is written later."""
        try:
            await self.write()
        except AWAY as error:
            self._log.debug("tick is kept later", extra={"error": description_of(error)})
