"""Runs `work()`: a pool of long-lived runners that take claims from a queue.

A task and a timer per resource would cost more than most works; here a runner loops over claims,
another is woken only when one is suspended, and one watcher looks after all deadlines.
"""

import asyncio
import contextvars
import decimal
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from delta_cli.engine.backoff import RetryPolicy
from delta_cli.engine.cancelling import is_running
from delta_cli.engine.config import limit_or_none
from delta_cli.engine.loops.base import Worker
from delta_cli.engine.outcomes import Cancelled, outcome_of, put_off
from delta_cli.engine.overrunning import Overrunning
from delta_cli.engine.resource import Resource
from delta_cli.engine.returned import see_to
from delta_cli.engine.store.work import ClaimKey, Outcome
from delta_cli.engine.threads import WorkThreads

log = logging.getLogger(__name__)

#: Cancels that came before their claim and are remembered.
_MOST_EARLY: Final = 100
#: Claims that one runner works before it lets the event loop breathe.
_BREATH: Final = 64
_WATCH_INTERVAL_S: Final = 0.05
#: When a work that swallows its cancellation is asked again: sooner where the lease is over sooner.
_ASK_AGAIN_S: Final = 1.0
_ASK_AGAIN_AT_LEAST_S: Final = 0.25
#: Of so many cancellations, a work must obey one.
_MOST_ASKED: Final = 2
#: How long cancelled works may take to clean up when the worker ends.
_END_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Kind:
    """What running a kind's works needs, looked up once."""

    work: Callable[[Resource[Any]], Any]
    decode: Callable[[str], Any]
    timeout_s: float | None
    is_async: bool
    backoff: RetryPolicy


@dataclass(slots=True, eq=False)
class _Runner:
    """One long-lived task. `deadline` is of time.perf_counter(); None while it may run for ever.

    `interrupted` is why its work was cancelled, which counts whatever the work makes of that;
    `asked` is how often, where it was. `abandoned`: its work is over, though it may still run.
    `ending` is the claim whose work is over and whose outcome is not put yet.
    """

    task: asyncio.Task[None] | None = None
    claim: Resource[Any] | None = None
    ending: Resource[Any] | None = None
    deadline: float | None = None
    interrupted: Exception | None = None
    asked: int = 0
    started: float = 0.0
    abandoned: bool = False
    thread: asyncio.Future[Any] | None = None
    wake: asyncio.Future[None] | None = None


class Executor:
    """Works claims side by side, and reports each outcome to `finish`."""

    def __init__(self, worker: Worker, *, finish: Callable[[Outcome], None]) -> None:
        self._worker: Worker = worker
        self._finish: Callable[[Outcome], None] = finish
        self._kinds: dict[str, _Kind] = {kind: self._kind(kind) for kind in worker.controllers}
        self._queue: deque[Resource[Any]] = deque()
        self._runners: list[_Runner] = []
        self._resting: list[_Runner] = []
        self._early: dict[tuple[int, int], str] = {}  # cancels of claims that are not here (yet)
        self._spawning: bool = False
        self._closing: bool = False
        self._threads: WorkThreads = WorkThreads(lambda: worker.slots.capacity)
        self._overrunning: Overrunning = Overrunning()
        # A claim must be over before its lease is.
        grace_s = worker.config.lease_grace.total_seconds()
        self._ask_again_s: float = min(_ASK_AGAIN_S, max(_ASK_AGAIN_AT_LEAST_S, grace_s / 4))
        self._broken: BaseException | None = None  # what a runner died of
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context: contextvars.Context = contextvars.Context()  # the worker's own

    @property
    def in_flight(self) -> int:
        """Claims that are queued or running, works that overran their time among them."""
        return self._worker.slots.in_use

    @property
    def claims(self) -> set[ClaimKey]:
        """The claims whose works are queued or running, or whose outcomes are not put yet."""
        running = [runner.claim for runner in self._runners if not runner.abandoned]
        ending = [runner.ending for runner in self._runners]
        known = (*running, *ending, *self._queue)
        return {(claim.id, claim.term) for claim in known if claim is not None}

    @property
    def stuck_threads(self) -> int:
        """Plain works whose thread runs on although they are over or given back."""
        return self._overrunning.threads

    @property
    def stuck_works(self) -> int:
        """Async works that run on although they are over or given back."""
        return self._overrunning.tasks

    def submit(self, claims: Sequence[Resource[Any]]) -> None:
        """Take claimed resources; their works start in turn.

        One whose last work still runs here is put off: it must not be worked beside itself.
        """
        ready: list[Resource[Any]] = []
        for claim in claims:
            if self._overrunning.has(claim):
                self._finish(put_off(claim))
            else:
                ready.append(claim)
        self._worker.slots.take((claim.kind, claim.namespace) for claim in ready)
        self._queue.extend(ready)
        if self._early:
            self._cancel_early(ready)
        self._spawn_soon()

    async def run(self) -> None:
        """Watch the deadlines until cancelled; the runners live as long."""
        self._loop = asyncio.get_running_loop()
        # The first decimal of a thread sets a variable: here, so that no work is who sets it.
        decimal.getcontext()
        self._context = contextvars.copy_context()
        self._spawn_soon()
        try:
            while self._broken is None:
                await asyncio.sleep(_WATCH_INTERVAL_S)
                self._interrupt_overdue(time.perf_counter())
            raise self._broken
        finally:
            # Before the runners are cancelled: they must not take it for a deadline.
            self._closing = True
            await self._end_runners()

    def cancel(self, resource_id: int, term: int, actor: str) -> None:
        """Let the work of one claim fail, running or queued; the claim of another term goes on."""
        error = Cancelled(actor)
        for claim in self._queue:
            if claim.id == resource_id and claim.term == term:
                self._queue.remove(claim)
                self._free(claim)
                self._end(claim, error, 0.0)
                return
        for runner in self._runners:
            claim = runner.claim
            if claim is not None and claim.id == resource_id and claim.term == term:
                self._interrupt(runner, runner.interrupted or error, time.perf_counter())
                return
        # It may be on its way from the database. If it has ended, this is forgotten in time.
        self._early[resource_id, term] = actor
        if len(self._early) > _MOST_EARLY:
            del self._early[next(iter(self._early))]

    def _cancel_early(self, claims: list[Resource[Any]]) -> None:
        for claim in claims:
            actor = self._early.pop((claim.id, claim.term), None)
            if actor is not None:
                self.cancel(claim.id, claim.term, actor)

    def abandon(self) -> list[Resource[Any]]:
        """Cancel what runs. Returns the claims that are not finished; they are no longer ours."""
        unfinished = list(self._queue)
        self._queue.clear()
        for claim in unfinished:
            self._free(claim)
        for runner in self._runners:
            if runner.claim is not None and runner.task is not None and not runner.abandoned:
                unfinished.append(runner.claim)
                runner.abandoned = True
                runner.task.cancel()
                running = runner.thread
                if running is None or running.done():
                    running = runner.task
                self._keep_slot_until_done(running, runner.claim)
        self._threads.give_up()
        return unfinished

    # Runners

    async def _end_runners(self) -> None:
        """Cancel the runners. One whose work ignores that is left behind: nobody waits for it."""
        tasks = [runner.task for runner in self._runners if runner.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            _, stubborn = await asyncio.wait(tasks, timeout=_END_TIMEOUT_S)
            if stubborn:
                log.warning(
                    "works ignore their cancellation",
                    extra={"component": "executor", "count": len(stubborn)},
                )

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._broken = task.exception()

    def _spawn_soon(self) -> None:
        # One callback at a time: it runs when the running runner is suspended or breathes, so works
        # that never wait are all done by one runner.
        if not self._spawning and self._queue and self._loop is not None:
            self._spawning = True
            self._loop.call_soon(self._spawn)

    def _spawn(self) -> None:
        self._spawning = False
        if not self._queue or self._closing:
            return
        if self._resting:
            wake = self._resting.pop().wake
            if wake is not None and not wake.done():
                wake.set_result(None)
            return
        runner = _Runner()
        self._runners.append(runner)
        runner.task = asyncio.create_task(self._run(runner), context=self._context.copy())
        runner.task.add_done_callback(self._ended)

    async def _run(self, runner: _Runner) -> None:
        try:
            while not runner.abandoned:
                done = 0
                while self._queue and not runner.abandoned:
                    claim = self._queue.popleft()
                    self._spawn_soon()
                    try:
                        await self._work(runner, claim)
                    except GeneratorExit:
                        # Out of a future that the work awaited, it closes `_work` to its end, which
                        # took it for a failure, and comes up here all the same.
                        if not is_running(runner.task):
                            raise
                    if not self._is_clean():
                        self._spawn_soon()
                        return
                    done += 1
                    if done % _BREATH == 0:
                        await asyncio.sleep(0)
                if not runner.abandoned:
                    runner.wake = asyncio.get_running_loop().create_future()
                    self._resting.append(runner)
                    await runner.wake
        finally:
            self._runners.remove(runner)
            if runner in self._resting:
                self._resting.remove(runner)

    def _is_clean(self) -> bool:
        """Whether the next work may run in this task: a context variable that is set stays set.

        Where nothing was set, the comparison is one of two pointers. Where something was, even by
        a library that keeps what it needs there, the next work gets a fresh task. That costs some
        15 microseconds, beside the 5 of the work that does nothing.
        """
        try:
            return contextvars.copy_context() == self._context
        except Exception:  # noqa: BLE001 - values that cannot be compared: it is the user's code
            return False

    async def _work(self, runner: _Runner, claim: Resource[Any]) -> None:
        kind = self._kinds[claim.kind]
        started = time.perf_counter()
        runner.claim = claim
        runner.started = started
        runner.interrupted = None
        runner.thread = None
        if kind.timeout_s is not None:
            runner.deadline = started + kind.timeout_s
        error: BaseException | None = None
        try:
            claim.decode_with(kind.decode)
            running = kind.work(claim) if kind.is_async else self._in_thread(runner, kind, claim)
            result = await running
            if result is not None:
                await see_to(result)
        except BaseException as raised:
            if self._passes(runner, raised):
                raise
            error = raised
        finally:
            runner.deadline = None
            runner.claim = None
        if runner.abandoned:
            return  # given back already, and its slot seen to
        if runner.interrupted is not None:
            runner.ending = claim  # nobody may cancel it any more, nor take it for unknown
            try:
                await self._let_interrupt_pass()
            finally:
                runner.ending = None
            error = runner.interrupted
        thread = runner.thread
        if thread is None or thread.done():
            self._free(claim)
        else:
            self._keep_slot_until_done(thread, claim)
        duration_ms = (time.perf_counter() - started) * 1000
        self._end(claim, error, duration_ms)

    def _passes(self, runner: _Runner, raised: BaseException) -> bool:
        """Whether it ends the runner. Else it is a failure of the work, whoever cancelled that."""
        if isinstance(raised, GeneratorExit):
            return not is_running(runner.task)  # it is being removed, and can await nothing more
        if not isinstance(raised, asyncio.CancelledError):
            return isinstance(raised, KeyboardInterrupt)
        if self._closing and not runner.abandoned and runner.claim is not None:
            thread = runner.thread
            if thread is not None and not thread.done():
                self._overrunning.add(thread, runner.claim)
        return self._closing or runner.abandoned

    def _in_thread(self, runner: _Runner, kind: _Kind, claim: Resource[Any]) -> asyncio.Future[Any]:
        runner.thread = self._threads.start(kind.work, claim)
        return asyncio.shield(runner.thread)  # a thread cannot be cancelled

    def _end(self, claim: Resource[Any], error: BaseException | None, duration_ms: float) -> None:
        backoff = self._kinds[claim.kind].backoff
        outcome = outcome_of(claim, error, duration_ms, backoff=backoff, worker_id=self._worker.id)
        if outcome.message is not None:
            self._worker.last_error = f"{claim.kind}/{claim.object_id}: {outcome.message}"
        self._finish(outcome)

    def _free(self, claim: Resource[Any]) -> None:
        self._worker.slots.free(claim.kind, claim.namespace)
        if self._worker.starved or self._worker.draining:
            self._worker.work_wake.set()

    # Time limits and cancels

    def _interrupt_overdue(self, now: float) -> None:
        for runner in self._runners:
            claim = runner.claim
            if runner.deadline is not None and now >= runner.deadline and claim is not None:
                # Of a work that was cancelled, this is not the first time that it is asked.
                error = runner.interrupted or _overdue(self._kinds[claim.kind])
                is_asked = runner.interrupted is not None and runner.asked >= _MOST_ASKED
                if is_asked and not runner.abandoned:
                    self._give_up(runner, claim, error, now)
                self._interrupt(runner, error, now)

    def _give_up(self, runner: _Runner, claim: Resource[Any], error: Exception, now: float) -> None:
        """The claim of a work that ignores its cancellation is over; its slot is not free yet."""
        if runner.task is None:
            return
        runner.abandoned = True
        self._keep_slot_until_done(runner.task, claim)
        error.args = (f"{error} and ignores its cancellation: it still runs",)
        self._end(claim, error, (now - runner.started) * 1000)

    def _interrupt(self, runner: _Runner, error: Exception, now: float) -> None:
        runner.asked = 1 if runner.interrupted is None else runner.asked + 1
        runner.interrupted = error
        runner.deadline = now + self._ask_again_s
        if runner.task is not None:
            runner.task.cancel()

    async def _let_interrupt_pass(self) -> None:
        """Absorb our cancellation, also one that arrives when the work has just ended by itself."""
        task = asyncio.current_task()
        while task is not None and task.cancelling():
            task.uncancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            if self._closing:
                raise

    def _keep_slot_until_done(self, running: asyncio.Future[Any], claim: Resource[Any]) -> None:
        self._overrunning.add(running, claim)
        running.add_done_callback(lambda _: self._free(claim))

    def _kind(self, kind: str) -> _Kind:
        controller = self._worker.controllers.controller(kind)
        object_type = self._worker.controllers.object_type(kind)
        timeout = limit_or_none(
            object_type.settings.work_timeout, self._worker.config.resource_work_timeout
        )
        return _Kind(
            work=controller.work,
            decode=object_type.decode,
            timeout_s=None if timeout is None else timeout.total_seconds(),
            is_async=controller.is_async,
            backoff=controller.backoff,
        )


def _overdue(kind: _Kind) -> TimeoutError:
    return TimeoutError(f"work() took longer than {kind.timeout_s:g} s")
