"""One worker process: builds its loops, runs them in one task group, and stops them in order.

Drain: stop claiming, let works end, write their outcomes. Hard stop: cancel works and give their
claims back. Either way nothing of this worker is left pending.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from delta_cli.engine.cancelling import cancel_all, cancel_patiently
from delta_cli.engine.config import Config
from delta_cli.engine.controller import Controllers
from delta_cli.engine.database import AWAY, Database, while_away
from delta_cli.engine.hints import CONTROL, INFORM, WORK, HintSender
from delta_cli.engine.listener import Listener
from delta_cli.engine.loops.base import Worker, WorkerCounts
from delta_cli.engine.loops.claimer import Claimer
from delta_cli.engine.loops.completer import Completer
from delta_cli.engine.loops.control import Control
from delta_cli.engine.loops.executor import Executor
from delta_cli.engine.loops.heartbeat import Heartbeat
from delta_cli.engine.loops.informer import INFORM_LEASE, Informer, InformRunner
from delta_cli.engine.loops.rebalancer import Rebalancer
from delta_cli.engine.model.tick import SkipReason, TickOutcome
from delta_cli.engine.slots import Slots
from delta_cli.engine.store import pauses, read, runs, work, workers
from delta_cli.engine.store.runs import ClaimedRun
from delta_cli.engine.store.workers import WorkerIdentity
from delta_cli.engine.ticks import inform, rebalance
from delta_cli.engine.ticks.service import TickService
from delta_cli.engine.versions import installed_version

log = logging.getLogger(__name__)

#: How long a hard stop may take to give claims back before it leaves them to the rescue.
_RELEASE_TIMEOUT_S = 10.0
#: How long a claim whose row somebody else holds is left alone before it is tried again.
_RELEASE_AGAIN_S = 0.05
#: How long the last word to the database may take.
_SIGN_OFF_TIMEOUT_S = 2.0
#: How long the claim that is under way when a stop begins may take.
_CLAIM_TIMEOUT_S = 5.0
#: Why a rebalance that this worker needs did not run, though it will.
_TRY_AGAIN = (SkipReason.LOCK_BUSY, SkipReason.DATABASE_UNAVAILABLE)
#: How long the loops of a worker that fails may take to end, before they are asked again.
_ASK_AGAIN_S = 0.5
#: How often to look whether another loop or worker has ended the inform run that is waited for.
_RUN_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class WorkerSummary:
    """What a worker did. `drained`: everything that ran ended by itself; `returned`: given back.

    `stuck_threads` and `stuck_works`: plain and async works that ran on although they were over,
    at the end of the time to clean up.
    """

    worker_id: int
    counts: WorkerCounts
    drained: bool
    returned: int
    stuck_threads: int
    stuck_works: int = 0


class Runtime:
    """The loops of one worker. `run()` ends after `drain()` or `stop_now()`.

    `informs` False: of inform runs it takes up those that `inform_now()` names, and queues none.
    """

    def __init__(
        self,
        database: Database,
        config: Config,
        controllers: Controllers,
        *,
        hints: HintSender,
        listener: Listener | None,
        ticks: Sequence[TickService],
        namespaces: Sequence[str] | None = None,
        informs: bool = True,
    ) -> None:
        parallelism = {
            kind: controllers.object_type(kind).settings.parallelism for kind in controllers
        }
        self.worker: Worker = Worker(
            database=database,
            config=config,
            controllers=controllers,
            namespaces=namespaces,
            slots=Slots(parallelism),
        )
        self._hints: HintSender = hints
        self._ticks: Sequence[TickService] = [
            tick for tick in ticks if informs or tick.name != inform.NAME
        ]
        self._informs: bool = informs
        self._listener: Listener | None = listener
        self._completer: Completer = Completer(self.worker, hints)
        self._executor: Executor = Executor(self.worker, finish=self._completer.put)
        self._claimer: Claimer = Claimer(
            self.worker,
            submit=self._executor.submit,
            backlog=lambda: self._completer.backlog,
            known=lambda: self._executor.claims | self._completer.claims,
            unwritten=lambda: self._completer.lanes,
        )
        self._control: Control = Control(
            self.worker,
            unwritten=lambda: self._completer.lanes,
            on_cancel=lambda one: self._executor.cancel(one.resource_id, one.term, one.actor),
        )
        self._rebalancer: Rebalancer = Rebalancer(self.worker, force=self._rebalance)
        self._informer: Informer = Informer(self.worker, hints)
        self._heartbeat: Heartbeat = Heartbeat(
            self.worker,
            on_lost=self._begin_anew,
            listener_lag_ms=lambda: None if listener is None else listener.lag_ms,
        )
        self._former_ids: list[int] = []  # and the present one
        self._stop: asyncio.Event = asyncio.Event()
        self._stop_now: asyncio.Event = asyncio.Event()
        self.registered: asyncio.Event = asyncio.Event()

    def drain(self) -> None:
        """Stop claiming and end when what runs has ended, or `shutdown_timeout` has passed."""
        self.worker.draining = True
        self.worker.work_wake.set()
        self.worker.inform_wake.set()
        self.worker.control_wake.set()
        self._stop.set()

    def stop_now(self) -> None:
        """Cancel what runs, give it back, and end."""
        self.drain()
        self._stop_now.set()

    def wake(self, channel: str, payload: str | None) -> None:
        """Look now at what the hint tells of, if it is for us; None: hints were missed."""
        if channel == CONTROL:
            self.worker.control_wake.set()
            self.worker.work_wake.set()  # what was paused may go on
            return
        kind, _, namespace = (payload or "").partition(" ")
        if payload is not None and kind not in self.worker.controllers:
            return
        if channel == INFORM:
            self.worker.inform_wake.set()
        elif channel == WORK:
            if namespace and namespace in (self.worker.namespaces or (namespace,)):
                self.worker.hinted.add((kind, namespace))
            self.worker.work_wake.set()
            if payload is None and self.worker.slots.has_fleet_limits:
                self.worker.rebalance_wake.set()  # perhaps a lost worker's work was rescued

    async def run(self) -> WorkerSummary:
        """Work until told to stop."""
        began = time.monotonic()
        if not await self._register_unless_stopped():
            return WorkerSummary(
                self.worker.id, self.worker.counts, drained=True, returned=0, stuck_threads=0
            )
        if time.monotonic() - began > self.worker.config.heartbeat_interval.total_seconds():
            self.worker.reconnected = time.monotonic()
        self.registered.set()
        unhook = self._hook_up_listener()
        drained, returned = False, 0
        try:
            async with asyncio.TaskGroup() as group:
                executing = group.create_task(self._executor.run())
                loops = [group.create_task(loop.run()) for loop in self._loops()]
                controlling = group.create_task(self._control.run())
                ticking = [group.create_task(tick.run()) for tick in self._ticks]
                claiming = group.create_task(self._claimer.run())
                takers = [self._informer] if self._informs else []
                informing = [group.create_task(taker.run()) for taker in takers]
                others = [controlling, claiming, *loops, *ticking, *informing]
                ending = group.create_task(_end_for_good(others))
                await self._stop.wait()
                await cancel_all(*informing)
                await self._informer.end_runs(hurry=self._stop_now)
                await _let_end(claiming, _CLAIM_TIMEOUT_S)
                await self._settle_claims()
                drained = await self._let_works_end()
                if not drained:
                    # What is abandoned is not given back yet: its slots are not free.
                    await cancel_all(controlling)
                    returned = await self._give_back()
                await self._write_outcomes()
                executing.cancel()
                await cancel_patiently(ticking, hurry=self._stop_now)
                await cancel_all(*ticking, *loops, controlling)
                await cancel_all(ending)
        finally:
            unhook()
            await self._informer.end_runs(hurry=self._stop_now)
            await self._sign_off()
        # Now that cancelled works have had their time to clean up.
        return WorkerSummary(
            self.worker.id,
            self.worker.counts,
            drained,
            returned,
            self._executor.stuck_threads,
            self._executor.stuck_works,
        )

    async def nothing_left(
        self, kinds: Sequence[str] | None = None, *, informs: bool = True
    ) -> bool:
        """Whether nothing of this worker's kinds, or those named, is due, worked or reported.

        `informs` False: what is reported, or due to be, does not count.
        """
        worker = self.worker
        if kinds is None:
            kinds = worker.kinds
            if worker.slots.in_use or self._completer.backlog or not worker.idle.is_set():
                return False  # it need not ask

        async def look() -> bool:
            async with worker.database.connection() as connection:
                return not await read.unfinished(
                    connection, kinds, worker.namespaces, worker.id, informs=informs
                )

        return await while_away("worker", look)

    async def inform_now(self, kind: str, run_id: int) -> None:
        """Run a queued inform run here, after one of its kind that runs already.

        If another worker takes it first, wait for its end.
        """
        while (run := await self._claim_inform(kind, run_id)) is None:
            if await self._inform_ended(run_id):
                return
            await asyncio.sleep(_RUN_POLL_S)
        await InformRunner(self.worker, self._hints, run).run()

    async def _claim_inform(self, kind: str, run_id: int) -> ClaimedRun | None:
        worker = self.worker

        async def claim() -> ClaimedRun | None:
            async with worker.database.connection() as connection:
                return await runs.claim_run(
                    connection, [kind], worker_id=worker.id, lease=INFORM_LEASE, run_id=run_id
                )

        return await while_away("worker", claim)

    async def _inform_ended(self, run_id: int) -> bool:
        async def look() -> bool:
            async with self.worker.database.connection() as connection:
                return (await runs.get_run(connection, run_id)).finished_at is not None

        return await while_away("worker", look)

    def _loops(self) -> list[Completer | Heartbeat | Rebalancer]:
        return [self._completer, self._heartbeat, self._rebalancer]

    async def _rebalance(self) -> bool:
        """Share the limits of the fleet now. False when that is to be tried again soon."""
        for service in self._ticks:
            if service.name == rebalance.NAME:
                outcome = await service.tick(force=True)
                reason = service.health().last_skip_reason
                self.worker.control_wake.set()  # without LISTEN, no hint tells of it
                return outcome is not TickOutcome.SKIPPED or reason not in _TRY_AGAIN
        return True

    # Beginning

    async def _register_unless_stopped(self) -> bool:
        """Whether this worker has registered; not when it was told to stop while that waited."""
        registering = asyncio.create_task(while_away("worker", self._register))
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([registering, stopping], return_when=asyncio.FIRST_COMPLETED)
            if registering.done():
                await registering
                return True
            return False
        finally:
            await cancel_all(registering, stopping)

    async def _register(self) -> None:
        worker = self.worker
        identity = WorkerIdentity(
            host=socket.gethostname(),
            pid=os.getpid(),
            version=installed_version("deltaloop") or "unknown",
            kinds=worker.kinds,
            namespaces=worker.namespaces,
            capacity=worker.slots.capacity,
            heartbeat_interval_s=worker.config.heartbeat_interval.total_seconds(),
        )
        async with worker.database.transaction() as connection:
            new_id = await workers.register(connection, identity)
            # Also of one whose registration was not heard of: it may have had the pause by then.
            await pauses.hand_over(connection, from_workers=self._former_ids, to_worker=new_id)
            await self._control.enroll(connection, new_id)
            self._former_ids.append(new_id)
        # Not before the commit: a worker that is not there yet may be given nothing.
        worker.id = new_id
        worker.beaten = time.monotonic()
        log.info("worker started", extra={"component": "worker", "worker": worker.id})

    async def _begin_anew(self) -> None:
        """The fleet gave this worker up: its claims are others' now. Go on under a new identity."""
        async with self._control.suspended():
            self._executor.abandon()
            self._completer.forget()
            await self._register()
        self.worker.work_wake.set()

    def _hook_up_listener(self) -> Callable[[], None]:
        hooks = contextlib.ExitStack()
        if self._listener is not None:
            for channel in (WORK, INFORM, CONTROL):
                hooks.callback(self._listener.on(channel, partial(self.wake, channel)))
        return hooks.close

    # Ending

    async def _let_works_end(self) -> bool:
        """Until nothing runs; False when the time is over or a hard stop is asked for."""
        timeout_s = self.worker.config.shutdown_timeout.total_seconds()
        try:
            async with asyncio.timeout(timeout_s):
                while self._executor.in_flight and not self._stop_now.is_set():
                    await _first_of(self._stop_now.wait(), self.worker.work_wake.wait())
                    self.worker.work_wake.clear()
        except TimeoutError:
            return False
        return self._executor.in_flight == 0

    async def _settle_claims(self) -> None:
        with contextlib.suppress(TimeoutError):  # left to the rescue
            async with asyncio.timeout(_CLAIM_TIMEOUT_S):
                await self._claimer.settle()

    async def _give_back(self) -> int:
        claims = self._executor.abandon()
        returned = 0

        async def release() -> set[int]:
            nonlocal claims, returned
            async with self.worker.database.connection() as connection:
                released = await work.release(connection, claims)
                returned += len(released)
                claims = [claim for claim in claims if claim.id not in released]
                return await work.still_held(connection, claims) if claims else set()

        try:
            async with asyncio.timeout(_RELEASE_TIMEOUT_S):
                # A row that somebody holds is tried again.
                while await while_away("worker", release):
                    await asyncio.sleep(_RELEASE_AGAIN_S)
        except TimeoutError:
            log.warning(
                "claims left to the rescue", extra={"component": "worker", "count": len(claims)}
            )
        return returned

    async def _write_outcomes(self) -> None:
        try:
            async with asyncio.timeout(_RELEASE_TIMEOUT_S):
                await self._completer.flushed()
        except TimeoutError:
            log.warning(
                "outcomes left to the rescue",
                extra={"component": "worker", "count": self._completer.backlog},
            )

    async def _sign_off(self) -> None:
        with contextlib.suppress(*AWAY, TimeoutError):
            async with asyncio.timeout(_SIGN_OFF_TIMEOUT_S):
                async with self.worker.database.connection() as connection:
                    worker_id = self.worker.id
                    # What was done since the last heartbeat.
                    await workers.heartbeat(connection, worker_id, self._heartbeat.vitals())
                    await workers.stop(connection, worker_id)
                # Its part in the limits of the fleet goes to the others at once.
                if self.worker.slots.has_fleet_limits:
                    await self._rebalancer.force()


async def _end_for_good(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Once cancelled, as when a loop has failed: the group asks each once, which may be dropped."""
    try:
        await asyncio.Event().wait()
    finally:
        # Asked twice at once, psycopg would close what it is about to free.
        await asyncio.wait(tasks, timeout=_ASK_AGAIN_S)
        await cancel_all(*tasks)


async def _let_end(task: asyncio.Task[None], timeout_s: float) -> None:
    await asyncio.wait([task], timeout=timeout_s)
    if not task.done():
        await cancel_all(task)


async def _first_of(*waits: Awaitable[object]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
