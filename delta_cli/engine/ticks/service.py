"""A periodic service that runs once per interval across the fleet, under an advisory lock.

A process keeps its health in memory; attached to a client, it is in `delta_tick` too, and the
interval is a grid on the database's clock.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, ClassVar, Final

from delta_cli.engine.database import Database, while_away
from delta_cli.engine.errors import ConfigError
from delta_cli.engine.locks import AdvisoryLocker, LocalLocker
from delta_cli.engine.model.tick import SkipReason, TickOutcome, WorkerHealth
from delta_cli.engine.store.ticks import TickSettings, TickStanding
from delta_cli.engine.tick_names import (
    check_callable,
    check_interval,
    check_lock_id,
    check_tick_name,
    stable_lock_id,
)
from delta_cli.engine.ticks.attempt import Attempt, TickFunctions
from delta_cli.engine.ticks.base import ComponentLogger, component_logger
from delta_cli.engine.ticks.book import TickBook
from delta_cli.engine.ticks.memory import MemoryRecords
from delta_cli.engine.ticks.records import DatabaseClock, TableRecords

#: How soon a tick that is overdue is tried again while somebody else has it, or it is paused.
_TRY_AGAIN_S: Final = 1.0
#: How long a service sleeps at most before it asks again when it is due: others may change that.
_LONGEST_SLEEP_S: Final = 60.0
#: A timer may fire a little early.
_TIMER_S: Final = 0.001


def jitter_s(interval: timedelta) -> float:
    """How long a service waits before its first tick: up to half its interval."""
    return random.uniform(0, interval.total_seconds() / 2)


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
        self._interval: timedelta = check_interval(name, interval)
        self._lock_id: int | None = check_lock_id(name, lock_id)
        check_callable(name, "work", work)
        optional = {"should_run": should_run, "startup": startup, "on_error": on_error}
        for field, function in optional.items():
            if function is not None:
                check_callable(name, field, function)
        self._functions: TickFunctions = TickFunctions(work, should_run, startup, on_error)
        self._log: ComponentLogger = component_logger(name, logger)
        self._schema: str = "delta"
        self._database: Database | None = None
        self._locker: AdvisoryLocker = LocalLocker()
        self._book: TickBook = TickBook(MemoryRecords(self._settings), self._log)

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
        return self._book.health

    @property
    def _settings(self) -> TickSettings:
        return TickSettings(self._name, self._interval.total_seconds(), self.lock_id)

    # Its place in the fleet

    def attach(
        self, database: Database, locker: AdvisoryLocker, *, holder: str, clock: DatabaseClock
    ) -> None:
        """Take part in the fleet of a database. Raises ConfigError if it does so elsewhere."""
        if self._database is database:
            return
        if self._database is not None:
            raise ConfigError(
                f"tick {self._name!r} belongs to another client of this process",
                hint="close that client first, or make a TickService for each",
            )
        self._database, self._locker, self._schema = database, locker, database.schema
        self._book.move(TableRecords(database, self._settings, holder=holder, clock=clock))

    def detach(self, database: Database) -> None:
        """Leave the fleet of a database."""
        if self._database is database:
            self._database, self._locker = None, LocalLocker()
            self._book.move(MemoryRecords(self._settings))

    # Running

    async def run(self) -> None:
        """Tick until cancelled. A failure is kept and logged, and never ends it."""
        await while_away(self._name, lambda: self._book.records.register(replace=True))
        if self.jittered:
            await asyncio.sleep(jitter_s(self._interval))
        while True:
            await asyncio.sleep(await self._turn())

    async def tick(self, *, force: bool = False, actor: str | None = None) -> TickOutcome:
        """Run once now, if it is due; `force`: also if it is not. It counts as the interval's run.

        `actor`: who wants it now, for the record of the run. `health()` then says why a tick was
        skipped. Never raises what its functions raise.
        """
        attempt = self._attempt()
        attempt.actor = actor
        return await attempt.make(self._locker, force=force)

    def _attempt(self) -> Attempt:
        return Attempt(self._functions, self._book, self._log, self._interval)

    async def _turn(self) -> float:
        """Tick if it is due. Returns how long to sleep."""
        try:
            standing = await while_away(self._name, self._look)
        except Exception:  # noqa: BLE001 - whatever it is, the worker's other loops go on
            self._log.exception("tick cannot be looked up")
            return self._interval.total_seconds()
        if standing.due_in_s is not None and standing.due_in_s > 0:
            return min(standing.due_in_s + _TIMER_S, _LONGEST_SLEEP_S)
        attempt = self._attempt()
        await attempt.make(self._locker, force=False, standing=standing)
        return self._pause_s(attempt)

    async def _look(self) -> TickStanding:
        await self._book.write()
        return await self._book.records.ask()

    def _pause_s(self, attempt: Attempt) -> float:
        """How long to leave it alone after a tick, beside its being due."""
        if attempt.begun is not None:
            return 0.0
        interval_s = self._interval.total_seconds()
        match attempt.run.skip_reason:
            case SkipReason.NOT_DUE:
                return 0.0
            case SkipReason.LOCK_BUSY | SkipReason.PAUSED | SkipReason.DATABASE_UNAVAILABLE:
                return min(interval_s, _TRY_AGAIN_S)
            case _:  # switched off, or it failed before it could begin
                return interval_s


class PromptTickService(TickService):
    """A service whose first tick does not wait."""

    jittered: ClassVar[bool] = False
