"""A periodic service that runs once per interval across the fleet, under an advisory lock.

A process keeps its health in memory; attached to a client, it is in `delta_tick` too, and the
interval is a grid on the database's clock.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from delta_cli.engine.database import AWAY, Database, while_away
from delta_cli.engine.errors import ConfigError, LockLost
from delta_cli.engine.failures import description_of
from delta_cli.engine.locks import AdvisoryLocker, LocalLocker
from delta_cli.engine.model import SkipReason, TickOutcome, WorkerHealth
from delta_cli.engine.store.ticks import BegunRun, RunEnd, TickSettings
from delta_cli.engine.tick_names import check_lock_id, check_tick_name, stable_lock_id
from delta_cli.engine.ticks.base import (
    ComponentLogger,
    Run,
    component_logger,
    current_run,
    despite_cancellation,
)
from delta_cli.engine.ticks.calling import call
from delta_cli.engine.ticks.health import after_failure, after_skip, after_start, after_success
from delta_cli.engine.ticks.passes import PASS_FAILED
from delta_cli.engine.ticks.records import MemoryRecords, TableRecords, TickRecords

MAX_INTERVAL: Final = timedelta(days=36_500)
#: How soon a tick that is overdue is tried again while somebody else has it, or it is paused.
_TRY_AGAIN_S: Final = 1.0
#: How long a service sleeps at most before it asks again when it is due: others may change that.
_LONGEST_SLEEP_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 2.0


def jitter_s(interval: timedelta) -> float:
    """How long a service waits before its first tick: up to half its interval."""
    return random.uniform(0, interval.total_seconds() / 2)


@dataclass(slots=True)
class _Attempt:
    """One tick on its way: what it has begun, and how it has ended."""

    run: Run
    begun: BegunRun | None = None
    started: float = 0.0  # time.monotonic()
    outcome: TickOutcome | None = None
    error: BaseException | None = None


class TickService:
    """Runs `work` every `interval`: one process of the fleet at a time, once per interval.

    `work` takes no argument and is a coroutine function, or any other, which runs in a thread; it
    returns how many things it did, or None. `lock_id`: the key of its advisory lock (64 bits);
    None: one that schema and name give. `should_run` says before each tick whether it is switched
    on. `startup` runs once in this process, before the first `work` and as a part of that run.
    `on_error` is given the error of each failed tick. Each of them may be a coroutine function.
    Raises ConfigError, which names the field and its value.
    """

    #: Whether the first tick waits for a random part of half the interval.
    jittered: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        interval: timedelta,
        work: Callable[[], Any],
        *,
        lock_id: int | None = None,
        should_run: Callable[[], bool | Awaitable[bool]] | None = None,
        startup: Callable[[], Any] | None = None,
        on_error: Callable[[BaseException], Any] | None = None,
        logger: logging.Logger | logging.LoggerAdapter[Any] | None = None,
    ) -> None:
        self._name: str = check_tick_name(name)
        self._interval: timedelta = _check_interval(name, interval)
        self._lock_id: int | None = check_lock_id(name, lock_id)
        self._work: Callable[[], Any] = _check_callable(name, "work", work)
        for field, function in (
            ("should_run", should_run),
            ("startup", startup),
            ("on_error", on_error),
        ):
            if function is not None:
                _check_callable(name, field, function)
        self._should_run: Callable[[], bool | Awaitable[bool]] | None = should_run
        self._startup: Callable[[], Any] | None = startup
        self._on_error: Callable[[BaseException], Any] | None = on_error
        self._log: ComponentLogger = component_logger(name, logger)
        self._health: WorkerHealth = WorkerHealth()
        self._writing: asyncio.Lock = asyncio.Lock()
        self._owed: list[_Debt] = []
        self._schema: str = "delta"
        self._database: Database | None = None
        self._locker: AdvisoryLocker = LocalLocker()
        self._records: TickRecords = MemoryRecords(self._settings)

    def __repr__(self) -> str:
        return f"TickService({self._name!r}, every {self._interval})"

    @property
    def name(self) -> str:
        """Its name, also in logs and in `delta_tick`."""
        return self._name

    @property
    def interval(self) -> timedelta:
        """How often it runs."""
        return self._interval

    @property
    def lock_id(self) -> int:
        """The key of its advisory lock."""
        return self.lock_id_in(self._schema)

    def lock_id_in(self, schema: str) -> int:
        """The key of its advisory lock in a schema."""
        return stable_lock_id(schema, self._name) if self._lock_id is None else self._lock_id

    def health(self) -> WorkerHealth:
        """How it has fared in this process."""
        return self._health

    @property
    def _settings(self) -> TickSettings:
        return TickSettings(self._name, self._interval.total_seconds(), self.lock_id)

    # Its place in the fleet

    def attach(self, database: Database, locker: AdvisoryLocker, *, holder: str) -> None:
        """Take part in the fleet of a database. Raises ConfigError if it does so elsewhere."""
        if self._database is database:
            return
        if self._database is not None:
            raise ConfigError(
                f"tick {self._name!r} belongs to another client of this process",
                hint="close that client first, or make a TickService for each",
            )
        self._database, self._locker, self._schema = database, locker, database.schema
        self._records = TableRecords(database, self._settings, holder=holder)

    def detach(self, database: Database) -> None:
        """Leave the fleet of a database."""
        if self._database is database:
            self._database, self._locker = None, LocalLocker()
            self._records = MemoryRecords(self._settings)
            self._owed.clear()

    # Running

    async def run(self) -> None:
        """Tick until cancelled. A failure is kept and logged, and never ends it."""
        await while_away(self._name, lambda: self._records.register(replace=True))
        if self.jittered:
            await asyncio.sleep(jitter_s(self._interval))
        while True:
            await asyncio.sleep(await self._turn())

    async def _turn(self) -> float:
        """Tick if it is due. Returns how long to sleep."""
        try:
            due_in_s = await while_away(self._name, self._due_in_s)
        except Exception:  # noqa: BLE001 - whatever it is, the worker's other loops go on
            self._log.exception("tick cannot be looked up")
            return self._again_s
        if due_in_s > 0:
            # A timer may fire a little early.
            return min(due_in_s + 0.001, _LONGEST_SLEEP_S)
        attempt = await self._attempt(force=False)
        if attempt.begun is not None or attempt.run.skip_reason is SkipReason.NOT_DUE:
            return 0.0
        switched_off = attempt.run.skip_reason in (None, SkipReason.SWITCHED_OFF)
        return self._interval.total_seconds() if switched_off else self._again_s

    @property
    def _again_s(self) -> float:
        return min(self._interval.total_seconds(), _TRY_AGAIN_S)

    async def _due_in_s(self) -> float:
        await self._write_owed()
        return (await self._records.ask()).due_in_s or 0.0

    async def tick(self, *, force: bool = False) -> TickOutcome:
        """Run once now, if it is due; `force`: also if it is not. It counts as the interval's run.

        `health()` then says why a tick was skipped. Never raises what its functions raise.
        """
        outcome = (await self._attempt(force=force)).outcome
        assert outcome is not None
        return outcome

    async def _attempt(self, *, force: bool) -> _Attempt:
        attempt = _Attempt(Run())
        token = current_run.set(attempt.run)
        try:
            await self._try(attempt, force=force)
            if attempt.error is not None:
                await self._tell(attempt.error)
        except asyncio.CancelledError:
            self._stopped(attempt)
            await despite_cancellation(self._write_owed(), timeout_s=_STOP_TIMEOUT_S)
            raise
        finally:
            current_run.reset(token)
        return attempt

    async def _try(self, attempt: _Attempt, *, force: bool) -> None:
        try:
            await self._write_owed()
            standing = await self._records.ask()
            if standing.paused:
                self._skipped(attempt, SkipReason.PAUSED)
            elif not await self._is_switched_on():
                self._skipped(attempt, SkipReason.SWITCHED_OFF)
            elif not await self._locker.with_advisory_lock(
                standing.lock_id, lambda: self._run_locked(attempt, force=force)
            ):
                self._skipped(attempt, SkipReason.LOCK_BUSY)
        except LockLost as error:
            if attempt.outcome is None:
                self._failed(attempt, error, error.message)
        except AWAY as error:
            self._log.debug("tick skipped", extra={"error": description_of(error)})
            self._skipped(attempt, SkipReason.DATABASE_UNAVAILABLE)
        except Exception as error:  # noqa: BLE001 - a failure is what health is for
            self._failed(attempt, error, description_of(error))
        await self._write_if_there()

    async def _is_switched_on(self) -> bool:
        if self._should_run is None:
            return True
        return bool(await self._named("should_run", self._should_run))

    async def _run_locked(self, attempt: _Attempt, *, force: bool) -> None:
        """What the holder of the lock does. All that it raises is about the run's beginning."""
        attempt.begun = await self._records.begin(attempt.run.id, forced=force)
        if attempt.begun is None:
            self._skipped(attempt, SkipReason.NOT_DUE)
            return
        self._health = after_start(self._health, attempt.begun.started_at)
        attempt.started = time.monotonic()
        try:
            await self._do_work(attempt.run)
        except AWAY as error:
            self._log.debug("tick skipped", extra={"error": description_of(error)})
            attempt.run.skip_reason = SkipReason.DATABASE_UNAVAILABLE
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._failed(attempt, error, "work was cancelled from within")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a failure is what health is for
            self._failed(attempt, error, description_of(error))
        if attempt.run.skip_reason is not None:
            self._skipped(attempt, attempt.run.skip_reason)
        elif attempt.outcome is None:
            self._succeeded(attempt)
        # The lock is held until the run is closed, if it can be.
        await self._write_if_there()

    async def _do_work(self, run: Run) -> None:
        if self._startup is not None:
            await self._named("startup", self._startup)
            self._startup = None
        count = await call(self._work)
        if count is None:
            return
        if isinstance(count, bool) or not isinstance(count, int):
            raise TypeError(f"work must return an int or None, not {type(count).__name__}")
        run.count = count

    async def _named(self, field: str, function: Callable[[], Any]) -> Any:
        try:
            return await call(function)
        except AWAY:
            raise
        except Exception as error:
            raise RuntimeError(f"{field} raised {description_of(error)}") from error

    async def _tell(self, error: BaseException) -> None:
        if self._on_error is None:
            return
        try:
            await call(self._on_error, error)
        except Exception:  # noqa: BLE001 - it was told of a failure, and changes nothing of it
            self._log.exception("on_error failed")

    # Outcomes: first in memory, then owed to the table until they could be written

    def _succeeded(self, attempt: _Attempt) -> None:
        run, duration_ms = attempt.run, _elapsed_ms(attempt)
        attempt.outcome = TickOutcome.SUCCESS
        self._health = after_success(
            self._health, _now(), count=run.count, count_key=run.count_key, duration_ms=duration_ms
        )
        end = RunEnd(TickOutcome.SUCCESS, duration_ms, run.count, run.count_key)
        self._owe_end(attempt, end, "last_success")

    def _failed(self, attempt: _Attempt, error: BaseException, text: str) -> None:
        attempt.outcome, attempt.error = TickOutcome.FAILED, error
        self._log.error(PASS_FAILED, exc_info=error, extra={"error": text})
        if attempt.begun is None:
            self._health = after_failure(self._health, _now(), text)
            self._owe(lambda: self._records.fail(text), "last_failure")
            return
        run, duration_ms = attempt.run, _elapsed_ms(attempt)
        self._health = after_failure(self._health, _now(), text, duration_ms=duration_ms)
        end = RunEnd(TickOutcome.FAILED, duration_ms, run.count, run.count_key, text)
        self._owe_end(attempt, end, "last_failure")

    def _skipped(self, attempt: _Attempt, reason: SkipReason) -> None:
        if attempt.outcome is not None:
            return
        attempt.outcome, attempt.run.skip_reason = TickOutcome.SKIPPED, reason
        self._health = after_skip(self._health, _now(), reason)
        if attempt.begun is None:
            self._owe(lambda: self._records.skip(reason), "last_skip")
            return
        end = RunEnd(TickOutcome.SKIPPED, error=reason.value, skip_reason=reason)
        self._owe_end(attempt, end, "last_skip")

    def _stopped(self, attempt: _Attempt) -> None:
        """This process ends: neither a failure nor a skip, but the run is over."""
        if attempt.outcome is None and attempt.begun is not None:
            self._owe_end(attempt, RunEnd(TickOutcome.SKIPPED, error="stopped"), None)

    def _owe_end(self, attempt: _Attempt, end: RunEnd, moment: str | None) -> None:
        begun = attempt.begun
        assert begun is not None
        self._warn_if_overrun(attempt)
        self._owe(lambda: self._records.finish(begun, end), moment)

    def _warn_if_overrun(self, attempt: _Attempt) -> None:
        duration_ms = _elapsed_ms(attempt)
        if duration_ms > self._interval.total_seconds() * 1000:
            self._log.warning(
                "tick overran its interval",
                extra={"duration_ms": duration_ms, "interval_s": self._interval.total_seconds()},
            )

    def _owe(self, write: Callable[[], Awaitable[datetime | None]], moment: str | None) -> None:
        self._owed.append(_Debt(write, moment))

    async def _write_if_there(self) -> None:
        try:
            await self._write_owed()
        except AWAY as error:
            self._log.debug("tick is kept later", extra={"error": description_of(error)})

    async def _write_owed(self) -> None:
        """Write what the table does not know yet; memory then takes the table's times."""
        async with self._writing:
            while self._owed:
                debt = self._owed[0]
                at = await debt.write()
                self._owed.remove(debt)
                if at is not None and debt.moment is not None:
                    self._health = replace(self._health, **{debt.moment: at})


class PromptTickService(TickService):
    """A service whose first tick does not wait."""

    jittered: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, eq=False)
class _Debt:
    """Something that the table is still to be told. `moment`: the field of health it dates."""

    write: Callable[[], Awaitable[datetime | None]]
    moment: str | None


def _elapsed_ms(attempt: _Attempt) -> float:
    return round((time.monotonic() - attempt.started) * 1000, 3)


def _now() -> datetime:
    return datetime.now(UTC)


def _check_interval(name: str, value: timedelta) -> timedelta:
    if not isinstance(value, timedelta):
        raise ConfigError(f"interval of tick {name!r} must be a timedelta, got {value!r}")
    if not timedelta(0) < value <= MAX_INTERVAL:
        raise ConfigError(
            f"interval of tick {name!r} must be longer than zero and at most {MAX_INTERVAL}, "
            f"got {value}"
        )
    return value


def _check_callable(name: str, field: str, value: Callable[..., Any]) -> Callable[..., Any]:
    if not callable(value):
        raise ConfigError(f"{field} of tick {name!r} must be callable, got {value!r}")
    return value
