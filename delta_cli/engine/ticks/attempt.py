"""One tick: paused? switched on? the lock, the due check, the work, and what became of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from delta_cli.engine.cancelling import is_asked_to_end
from delta_cli.engine.database import AWAY, is_unavailable
from delta_cli.engine.errors import LockLost
from delta_cli.engine.failures import description_of
from delta_cli.engine.locks import AdvisoryLocker
from delta_cli.engine.model.tick import SkipReason, TickOutcome
from delta_cli.engine.store.ticks import BegunRun, TickStanding
from delta_cli.engine.ticks.base import ComponentLogger, Run, current_run, despite_cancellation
from delta_cli.engine.ticks.book import TickBook
from delta_cli.engine.ticks.calling import call
from delta_cli.engine.ticks.passes import PASS_FAILED

_STOP_TIMEOUT_S: Final = 2.0
#: What the table can keep.
_MOST_COUNT: Final = 2**63


@dataclass(slots=True)
class TickFunctions:
    """The user's functions of one service. `startup` is None once it has run."""

    work: Callable[[], Any]
    should_run: Callable[[], bool | Awaitable[bool]] | None
    startup: Callable[[], Any] | None
    on_error: Callable[[BaseException], Any] | None


class Attempt:
    """One tick on its way. `begun` is None until its work is due and its lock is held.

    `actor`: who has forced it.
    """

    def __init__(
        self, functions: TickFunctions, book: TickBook, log: ComponentLogger, interval: timedelta
    ) -> None:
        self.run: Run = Run()
        self.begun: BegunRun | None = None
        self.outcome: TickOutcome | None = None
        self.actor: str | None = None
        self._error: BaseException | None = None
        self._started: float = time.monotonic()
        self._has_overrun: bool = False
        self._functions: TickFunctions = functions
        self._book: TickBook = book
        self._log: ComponentLogger = log
        self._interval: timedelta = interval

    async def make(
        self, locker: AdvisoryLocker, *, force: bool, standing: TickStanding | None = None
    ) -> TickOutcome:
        """Tick. `standing`: how the tick stands, where that was asked just now.

        Raises only its own cancellation, which closes the run on its way.
        """
        token = current_run.set(self.run)
        try:
            await self._try(locker, standing, force=force)
            await self._tell()
        except asyncio.CancelledError:
            if self.outcome is None and self.begun is not None:
                self._book.stopped(self.begun)
            await despite_cancellation(self._book.write(), timeout_s=_STOP_TIMEOUT_S)
            raise
        finally:
            current_run.reset(token)
        assert self.outcome is not None
        return self.outcome

    async def _try(
        self, locker: AdvisoryLocker, standing: TickStanding | None, *, force: bool
    ) -> None:
        try:
            await self._book.write()
            standing = standing or await self._book.records.ask()
            if standing.paused:
                self._skipped(SkipReason.PAUSED)
            elif not await self._is_switched_on():
                self._skipped(SkipReason.SWITCHED_OFF)
            elif not await locker.with_advisory_lock(
                standing.lock_id, lambda: self._run_locked(force=force)
            ):
                self._skipped(SkipReason.LOCK_BUSY)
        except LockLost as error:
            self._failed(error, error.message)
        except AWAY as error:
            self._away(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a failure is what health is for
            self._failed(error, description_of(error))
        await self._book.write_if_there()

    async def _is_switched_on(self) -> bool:
        should_run = self._functions.should_run
        return should_run is None or bool(await _named("should_run", should_run))

    async def _run_locked(self, *, force: bool) -> None:
        """What the holder of the lock does. It keeps the lock until the run is closed."""
        await self._begin(force=force)
        if self.begun is None:
            self._skipped(SkipReason.NOT_DUE)
            return
        self._book.started(self.begun)
        self._started = time.monotonic()
        # At the time, since what hangs may never end.
        overrunning = asyncio.get_running_loop().call_later(
            self._interval.total_seconds(), self._warn_if_overrun
        )
        try:
            await self._work()
        except asyncio.CancelledError as error:
            if is_asked_to_end():
                raise
            self._failed(error, "work was cancelled from within")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a failure is what health is for
            if is_unavailable(error):
                self._away(error)
            else:
                self._failed(error, description_of(error))
        else:
            self._succeeded()
        finally:
            overrunning.cancel()
        self._warn_if_overrun()
        await self._book.write_if_there()

    async def _begin(self, *, force: bool) -> None:
        beginning = asyncio.ensure_future(
            self._book.records.begin(self.run.id, forced=force, actor=self.actor)
        )
        try:
            self.begun = await asyncio.shield(beginning)
        except asyncio.CancelledError:
            # What has begun is to be closed.
            await despite_cancellation(beginning, timeout_s=_STOP_TIMEOUT_S)
            if beginning.done() and not beginning.cancelled() and not beginning.exception():
                self.begun = beginning.result()
            raise

    async def _work(self) -> None:
        if self._functions.startup is not None:
            await _named("startup", self._functions.startup)
            self._functions.startup = None
        count = await call(self._functions.work)
        if count is None:
            count = self.run.count  # what handle_pass_result() was given
        if count is None:
            return
        if isinstance(count, bool) or not isinstance(count, int):
            raise TypeError(f"work must return an int or None, not {type(count).__name__}")
        if not -_MOST_COUNT <= count < _MOST_COUNT:
            self.run.count = None
            raise ValueError("work must return a count of 64 bits")
        self.run.count = count

    # Outcomes: the first is the one

    def _succeeded(self) -> None:
        if self.run.skip_reason is not None:  # the pass itself has said so
            self._skipped(self.run.skip_reason)
            return
        assert self.begun is not None
        self.outcome = TickOutcome.SUCCESS
        self._book.succeeded(self.begun, self.run, self._elapsed_ms)

    def _failed(self, error: BaseException, text: str) -> None:
        if self.outcome is None:
            self.outcome, self._error = TickOutcome.FAILED, error
            self._log.error(PASS_FAILED, exc_info=error, extra={"error": text})
            self._book.failed(self.begun, self.run, self._elapsed_ms, text)

    def _away(self, error: BaseException) -> None:
        self._log.debug("tick skipped", extra={"error": description_of(error)})
        self._skipped(SkipReason.DATABASE_UNAVAILABLE)

    def _skipped(self, reason: SkipReason) -> None:
        if self.outcome is None:
            self.outcome, self.run.skip_reason = TickOutcome.SKIPPED, reason
            self._book.skipped(self.begun, reason)

    async def _tell(self) -> None:
        if self._functions.on_error is None or self._error is None:
            return
        try:
            await call(self._functions.on_error, self._error)
        except asyncio.CancelledError:
            if is_asked_to_end():
                raise
            self._log.exception("on_error failed")
        except (Exception, SystemExit):  # noqa: BLE001 - it was told of a failure, and changes nothing of it
            self._log.exception("on_error failed")

    @property
    def _elapsed_ms(self) -> float:
        return round((time.monotonic() - self._started) * 1000, 3)

    def _warn_if_overrun(self) -> None:
        """Once a run, with how long it has taken by then."""
        interval_s = self._interval.total_seconds()
        if not self._has_overrun and self._elapsed_ms >= interval_s * 1000:
            self._has_overrun = True
            self._log.warning(
                "tick overruns its interval",
                extra={"duration_ms": self._elapsed_ms, "interval_s": interval_s},
            )


async def _named(field: str, function: Callable[[], Any]) -> Any:
    """What a function says; its error names it."""
    try:
        return await call(function)
    except AWAY:
        raise
    except asyncio.CancelledError as error:
        if is_asked_to_end():
            raise
        raise RuntimeError(f"{field} was cancelled from within") from error
    except (Exception, SystemExit) as error:
        raise RuntimeError(f"{field} raised {description_of(error)}") from error
