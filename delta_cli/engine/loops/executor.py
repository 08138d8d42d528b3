"""Runs `work()`: a pool of long-lived runners that take claims from a queue.

A task and a timer per resource would cost more than most works; here a runner loops over claims,
another is woken only when one is suspended, and one watcher looks after all deadlines.
"""

import asyncio
import contextvars
import inspect
import json
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from delta_cli.engine.backoff import RetryPolicy
from delta_cli.engine.config import limit_or_none
from delta_cli.engine.errors import Permanent, ResourceDelete, Snooze
from delta_cli.engine.failures import message_of, trace_of
from delta_cli.engine.loops.base import Worker
from delta_cli.engine.model import EventCategory, Resource
from delta_cli.engine.states import (
    Landing,
    ResourceState,
    landing_after_delete,
    landing_after_failure,
    landing_after_snooze,
    landing_after_success,
)
from delta_cli.engine.store.work import Outcome

log = logging.getLogger(__name__)

#: Cancels that came before their claim and are remembered.
_MOST_EARLY: Final = 100
#: Claims that one runner works before it lets the event loop breathe.
_BREATH: Final = 64
_WATCH_INTERVAL_S: Final = 0.05
#: How long cancelled works may take to clean up when the worker ends.
_END_TIMEOUT_S: Final = 2.0
_SUCCESS: Final = landing_after_success()


@dataclass(frozen=True, slots=True)
class _Kind:
    """What running a kind's works needs, looked up once."""

    work: Callable[[Resource[Any]], Any]
    decode: Callable[[str], Any]
    timeout_s: float | None
    is_async: bool
    backoff: RetryPolicy


class Cancelled(Exception):
    """What a work failed of that an operator cancelled."""


@dataclass(slots=True, eq=False)
class _Runner:
    """One long-lived task. `deadline` is of time.perf_counter(); None while it may run for ever.

    `interrupted` is why its work was cancelled, which counts whatever the work makes of that.
    """

    task: asyncio.Task[None] | None = None
    claim: Resource[Any] | None = None
    deadline: float | None = None
    interrupted: Exception | None = None
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
        self._threads_stuck: int = 0
        self._threads: ThreadPoolExecutor | None = None
        self._broken: BaseException | None = None  # what a runner died of
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def in_flight(self) -> int:
        """Claims that are queued or running, threads that overran their time among them."""
        return self._worker.slots.in_use

    @property
    def ids(self) -> set[int]:
        """The resources whose works are queued or running."""
        running = {runner.claim.id for runner in self._runners if runner.claim is not None}
        return running | {claim.id for claim in self._queue}

    @property
    def stuck_threads(self) -> int:
        """Plain works whose thread runs on although they are over or given back."""
        return self._threads_stuck

    def submit(self, claims: list[Resource[Any]]) -> None:
        """Take claimed resources; their works start in turn."""
        self._worker.slots.take((claim.kind, claim.namespace) for claim in claims)
        self._queue.extend(claims)
        if self._early:
            self._cancel_early(claims)
        self._spawn_soon()

    async def run(self) -> None:
        """Watch the deadlines until cancelled; the runners live as long."""
        self._loop = asyncio.get_running_loop()
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
        error = Cancelled(f"cancelled by {actor}")
        for claim in self._queue:
            if claim.id == resource_id and claim.term == term:
                self._queue.remove(claim)
                self._free(claim)
                self._finish(self._outcome(self._kinds[claim.kind], claim, error, 0.0))
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
            if runner.claim is not None and runner.task is not None:
                unfinished.append(runner.claim)
                runner.abandoned = True
                runner.task.cancel()
                if runner.thread is None or runner.thread.done():
                    self._free(runner.claim)
                else:
                    self._keep_slot_until_done(runner.thread, runner.claim)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None
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
        runner.task = asyncio.create_task(self._run(runner))
        runner.task.add_done_callback(self._ended)

    async def _run(self, runner: _Runner) -> None:
        try:
            while not runner.abandoned:
                done = 0
                while self._queue and not runner.abandoned:
                    claim = self._queue.popleft()
                    self._spawn_soon()
                    await self._work(runner, claim)
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

    async def _work(self, runner: _Runner, claim: Resource[Any]) -> None:
        kind = self._kinds[claim.kind]
        started = time.perf_counter()
        runner.claim = claim
        runner.interrupted = None
        thread = runner.thread = None
        if kind.timeout_s is not None:
            runner.deadline = started + kind.timeout_s
        error: BaseException | None = None
        try:
            claim.decode_with(kind.decode)
            if kind.is_async:
                await kind.work(claim)
            else:
                thread = runner.thread = self._start_thread(kind, claim)
                await _result_of(thread)
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except BaseException as raised:
            # Cancelled by our deadline or by the work itself, it is a failure like any other.
            if isinstance(raised, asyncio.CancelledError) and (self._closing or runner.abandoned):
                if thread is not None and not thread.done() and not runner.abandoned:
                    self._count_until_done(thread)
                raise
            error = raised
        finally:
            runner.deadline = None
            runner.claim = None
        if runner.abandoned:
            return  # given back already, and its slot seen to
        if runner.interrupted is not None:
            await self._let_interrupt_pass()
            error = runner.interrupted
        if thread is None or thread.done():
            self._free(claim)
        else:
            self._keep_slot_until_done(thread, claim)
        duration_ms = (time.perf_counter() - started) * 1000
        self._finish(self._outcome(kind, claim, error, duration_ms))

    def _free(self, claim: Resource[Any]) -> None:
        self._worker.slots.free(claim.kind, claim.namespace)
        if self._worker.starved or self._worker.draining:
            self._worker.work_wake.set()

    # Time limits and cancels

    def _interrupt_overdue(self, now: float) -> None:
        for runner in self._runners:
            if runner.deadline is not None and now >= runner.deadline and runner.claim is not None:
                # Of a work that was cancelled, this is the second time that it is asked.
                error = runner.interrupted or _overdue(self._kinds[runner.claim.kind])
                self._interrupt(runner, error, now)

    def _interrupt(self, runner: _Runner, error: Exception, now: float) -> None:
        runner.interrupted = error
        # A work that swallows its cancellation is asked again a second later.
        runner.deadline = now + 1.0
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

    # Plain works, in threads

    def _start_thread(self, kind: _Kind, claim: Resource[Any]) -> asyncio.Future[Any]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(
                max_workers=max(1, self._worker.slots.capacity), thread_name_prefix="delta-work"
            )
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._threads, lambda: context.run(_call, kind.work, claim))

    def _keep_slot_until_done(self, thread: asyncio.Future[Any], claim: Resource[Any]) -> None:
        self._count_until_done(thread)
        thread.add_done_callback(lambda _: self._free(claim))

    def _count_until_done(self, thread: asyncio.Future[Any]) -> None:
        self._threads_stuck += 1

        def ended(future: asyncio.Future[Any]) -> None:
            self._threads_stuck -= 1
            if not future.cancelled():
                future.exception()  # looked at, so that nothing warns of it

        thread.add_done_callback(ended)

    # Outcomes

    def _outcome(
        self, kind: _Kind, claim: Resource[Any], error: BaseException | None, duration_ms: float
    ) -> Outcome:
        if error is None:
            return Outcome(claim, _SUCCESS, EventCategory.OBJECT_SYNCED, duration_ms)
        landing, category, kept = self._land(kind, claim, error)
        return Outcome(claim, landing, category, duration_ms, kept)

    def _land(
        self, kind: _Kind, claim: Resource[Any], error: BaseException
    ) -> tuple[Landing, EventCategory | None, str | None]:
        if isinstance(error, Snooze):
            return landing_after_snooze(claim.attempt, error.delay), None, None
        if isinstance(error, ResourceDelete):
            return landing_after_delete(claim.attempt), EventCategory.OBJECT_DELETED, None
        landing = landing_after_failure(
            claim.attempt,
            claim.max_attempts,
            retry_in=_delay(kind.backoff, claim.attempt, error),
            permanent=isinstance(error, Permanent),
        )
        self._worker.last_error = f"{claim.kind}/{claim.object_id}: {message_of(error)}"
        log.log(
            logging.ERROR if landing.state is ResourceState.DEGRADED else logging.WARNING,
            "work failed",
            extra={
                "component": "executor",
                "kind": claim.kind,
                "namespace": claim.namespace,
                "object_id": claim.object_id,
                "attempt": claim.attempt,
                "state": landing.state.value,
                "error": message_of(error),
            },
        )
        kept = _error_json(claim.attempt, error, self._worker.id)
        return landing, EventCategory.OBJECT_FAILED, kept

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


def _call(work: Callable[[Resource[Any]], Any], claim: Resource[Any]) -> Any:
    try:
        return work(claim)
    except StopIteration as error:
        # No future takes one: who waits for the thread would wait for ever.
        raise RuntimeError("work() raised StopIteration") from error


def _overdue(kind: _Kind) -> TimeoutError:
    return TimeoutError(f"work() took longer than {kind.timeout_s:g} s")


async def _result_of(thread: asyncio.Future[Any]) -> None:
    """Until a plain work ends; shielded, because a thread cannot be cancelled."""
    result = await asyncio.shield(thread)
    if inspect.isawaitable(result):
        await result


def _delay(backoff: RetryPolicy, attempt: int, error: BaseException) -> timedelta:
    """What the policy says; a policy that raises must not lose the outcome."""
    try:
        delay = backoff.delay(attempt, error)
        if isinstance(delay, timedelta) and delay >= timedelta(0):
            return delay
        log.error("retry policy is wrong", extra={"component": "executor", "delay": repr(delay)})
    except Exception as raised:  # noqa: BLE001 - it is the user's code
        log.error(  # noqa: TRY400 - a traceback is not masked
            "retry policy raised", extra={"component": "executor", "error": message_of(raised)}
        )
    return timedelta(minutes=1)


def _error_json(attempt: int, error: BaseException, worker_id: int) -> str:
    return json.dumps(
        {
            "attempt": attempt,
            "error": type(error).__qualname__,
            "message": message_of(error),
            "trace": trace_of(error),
            "worker_id": worker_id,
        }
    )
