"""Claims inform runs of this worker's kinds and streams what `inform()` reports into the database.

Batches are committed as they come, so a listing that breaks off leaves what it had reported; only a
run that ends well, and of which nothing was refused, moves the watermark.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any, Final

from delta_cli.engine.cancelling import (
    cancel_all,
    cancel_patiently,
    is_asked_to_end,
    is_running,
)
from delta_cli.engine.config import limit_or_none
from delta_cli.engine.database import Connection, while_away
from delta_cli.engine.errors import InvalidObject
from delta_cli.engine.failures import description_of
from delta_cli.engine.hints import WORK, HintSender, lanes_of
from delta_cli.engine.informing import Encoder, InformStream, objects_of
from delta_cli.engine.loops.base import Worker, wait_for_wake
from delta_cli.engine.model.inform import InformCounts, InformOutcome
from delta_cli.engine.statements import run_steps
from delta_cli.engine.store import runs
from delta_cli.engine.store.inform import Candidate, Expectation, InformPolicy, inform_batch
from delta_cli.engine.store.runs import ClaimedRun
from delta_cli.engine.telling import Facts

log = logging.getLogger(__name__)

#: A run whose worker has not prolonged its lease for this long is queued again.
INFORM_LEASE: Final = timedelta(minutes=2)
_KEEP_INTERVAL_S: Final = INFORM_LEASE.total_seconds() / 4
_PROGRESS_INTERVAL_S: Final = 1.0


class RunLost(Exception):
    """An inform run is this worker's no longer: it was silent for too long."""


class Informer:
    """Runs the informers of a worker, one run per kind at a time, kinds side by side."""

    def __init__(self, worker: Worker, hints: HintSender) -> None:
        self._worker: Worker = worker
        self._hints: HintSender = hints
        self._running: dict[str, asyncio.Task[InformCounts]] = {}
        self._broken: BaseException | None = None  # what a run died of

    async def run(self) -> None:
        """Claim until cancelled. The runs go on until `end_runs()`."""
        while self._broken is None:
            run = await while_away("informer", self._claim)
            if run is None:
                await wait_for_wake(self._worker.inform_wake, self._poll_s)
                continue
            task = asyncio.create_task(InformRunner(self._worker, self._hints, run).run())
            self._running[run.kind] = task
            task.add_done_callback(partial(self._ended, run.kind))
        raise self._broken

    async def end_runs(self, *, hurry: asyncio.Event) -> None:
        """Cancel what runs, which is left for another worker, and let it clean up."""
        tasks = list(self._running.values())
        self._running.clear()
        stubborn = await cancel_patiently(tasks, hurry=hurry)
        if stubborn:
            log.warning(
                "informers ignore their cancellation",
                extra={"component": "informer", "count": len(stubborn)},
            )

    async def _claim(self) -> ClaimedRun | None:
        worker = self._worker
        kinds = [kind for kind in worker.kinds if kind not in self._running]
        if not kinds or worker.draining:
            return None
        async with worker.database.connection() as connection:
            return await runs.claim_run(connection, kinds, worker_id=worker.id, lease=INFORM_LEASE)

    def _ended(self, kind: str, task: asyncio.Task[InformCounts]) -> None:
        if self._running.get(kind) is task:
            del self._running[kind]
        if not task.cancelled() and task.exception() is not None:
            self._broken = task.exception()
        self._worker.inform_wake.set()

    @property
    def _poll_s(self) -> float:
        return self._worker.config.poll_interval.total_seconds()


class InformRunner:
    """One inform run from its claim to its end."""

    def __init__(self, worker: Worker, hints: HintSender, run: ClaimedRun) -> None:
        config = worker.config
        settings = worker.controllers.object_type(run.kind).settings
        self._worker: Worker = worker
        self._hints: HintSender = hints
        self._run: ClaimedRun = run
        self._overlap: timedelta = settings.inform_overlap
        self._timeout: timedelta | None = limit_or_none(
            settings.inform_timeout, config.controller_inform_timeout
        )
        self._patience: _Patience = _Patience(self._timeout)
        self._is_lost: bool = False
        self._known_namespaces: frozenset[str] = frozenset()
        self._first_refusal: InvalidObject | None = None
        self._progress_at: float = time.monotonic()
        self.stream: InformStream = InformStream(
            Encoder(config.max_object_bytes, config.max_attempts),
            self._write,
            on_refused=self._refused,
            only_kind=run.kind,
        )

    async def run(self) -> InformCounts:
        """List, store and end the run; never raises for what the informer does."""
        keeping = asyncio.create_task(self._keep())
        try:
            return await self._list_and_end()
        finally:
            await cancel_all(keeping)

    async def _list_and_end(self) -> InformCounts:
        try:
            failure = await self._list()
            counts = await self.stream.close()
        except asyncio.CancelledError:
            await self.stream.abandon(at_once=True)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, the run must end and say so
            failure, counts = error, self.stream.counts
        refusals = refusals_of(counts, self._first_refusal)
        if failure is None and counts.refused == counts.seen:
            failure = refusals
        await while_away("informer", lambda: self._end(failure, refusals))
        self._log_end(failure, refusals)
        return counts

    async def _list(self) -> BaseException | None:
        """Feed the stream. Returns what the informer raised."""
        patience, task = self._patience, asyncio.current_task()
        try:
            async with patience.timeout:
                await self._take_all()
        except TimeoutError as error:
            if self._is_lost:
                return _lost()
            if patience.timeout.expired():
                return TimeoutError(f"inform() reported nothing for {patience.wait_s:g} s")
            return error
        except asyncio.CancelledError:
            if is_asked_to_end():
                raise
            return RuntimeError("inform() was cancelled from within")
        except GeneratorExit as error:
            if not is_running(task):
                raise  # the run itself is being removed, and can await nothing more
            return error
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an informer may raise anything
            return error
        return None

    async def _take_all(self) -> None:
        run, patience = self._run, self._patience
        source = self._worker.controllers.controller(run.kind).inform(run.options)
        objects = objects_of(source, owned=True, named="inform()")
        async with self._closing(objects):
            taken = 0
            async for obj in objects:
                await self.stream.take(obj)
                taken += 1
                if run.options.limit is not None and taken >= run.options.limit:
                    break
                if self.stream.is_due:
                    patience.stop()
                    await self.stream.flush()
                patience.renew()

    @asynccontextmanager
    async def _closing(self, objects: AsyncGenerator[Any, None]) -> AsyncIterator[None]:
        """Let the informer clean up; what that raises comes second to what was raised before."""
        try:
            yield
        except BaseException:
            self._patience.renew()
            with suppress(Exception, SystemExit, GeneratorExit, asyncio.CancelledError):
                await objects.aclose()
            raise
        self._patience.renew()
        await objects.aclose()

    async def _keep(self) -> None:
        """Prolong the lease also while nothing is reported, until the run is ours no longer."""
        while not self._is_lost:
            await asyncio.sleep(_KEEP_INTERVAL_S)
            self._is_lost = not await while_away("informer", self._record)
        self._patience.end()

    async def _write(self, batch: list[Candidate], *, expect: Expectation) -> list[InformOutcome]:
        policy = InformPolicy(
            revive=False,
            process_existing=self._run.options.process_existing,
            expect=expect,
            known_namespaces=self._known_namespaces,
            on_refused=self._refused,
        )

        async def store() -> list[InformOutcome]:
            async with self._worker.database.connection() as connection:
                steps = inform_batch(batch, policy)
                return await run_steps(connection, steps, within=partial(self._held, connection))

        await while_away("informer", self._show_progress)
        outcomes = await while_away("informer", store)
        self._known_namespaces |= {candidate.encoded.namespace for candidate in batch}
        if any(outcome in ("created", "updated") for outcome in outcomes):
            self._worker.work_wake.set()
            for lane in lanes_of(self._run.kind, (one.encoded.namespace for one in batch)):
                self._hints.send(WORK, lane)
        return outcomes

    async def _show_progress(self) -> None:
        if time.monotonic() - self._progress_at < _PROGRESS_INTERVAL_S:
            return
        if not await self._record():
            raise _lost()
        self._progress_at = time.monotonic()

    @asynccontextmanager
    async def _held(self, connection: Connection) -> AsyncIterator[None]:
        """A transaction in which the run stays ours.

        What has been given to another worker is that one's to tell: a batch that waited for the
        database meanwhile is older than what has been stored since.
        """
        async with connection.transaction():
            if not await runs.hold(connection, self._run, worker_id=self._worker.id):
                raise _lost()
            yield

    async def _record(self) -> bool:
        async with self._worker.database.connection() as connection:
            return await runs.record_progress(
                connection,
                self._run,
                worker_id=self._worker.id,
                lease=INFORM_LEASE,
                counts=self.stream.counts,
            )

    async def _end(self, failure: BaseException | None, refusals: InvalidObject | None) -> None:
        worker = self._worker
        await self._record()
        async with worker.database.connection() as connection:
            if failure is None:
                await runs.succeed(
                    connection,
                    self._run,
                    worker_id=worker.id,
                    counts=self.stream.counts,
                    newest=self.stream.newest,
                    overlap=self._overlap,
                    error=None if refusals is None else description_of(refusals),
                )
            else:
                await runs.fail(
                    connection, self._run, worker_id=worker.id, error=description_of(failure)
                )

    def _refused(self, error: InvalidObject) -> None:
        self._first_refusal = self._first_refusal or error
        log.warning(
            "object refused: %s",
            Facts(self._run.kind, error.message),
            extra={"component": "informer", "kind": self._run.kind, "error": error.message},
        )

    def _log_end(self, failure: BaseException | None, refusals: InvalidObject | None) -> None:
        fields = {"component": "informer", "kind": self._run.kind, "run": self._run.id}
        fields |= {"seen": self.stream.counts.seen}
        if failure is not None:
            why = description_of(failure)
            facts = Facts(self._run.kind, f"run {self._run.id}", why)
            log.error("inform run failed: %s", facts, extra=fields | {"error": why})
        elif refusals is not None:
            why = description_of(refusals)
            facts = Facts(self._run.kind, f"run {self._run.id}", why)
            log.warning("inform run ended: %s", facts, extra=fields | {"error": why})
        else:
            log.info("inform run ended", extra=fields)


def refusals_of(counts: InformCounts, first: InvalidObject | None) -> InvalidObject | None:
    """What a run has to say of all the objects that were refused; None when none was."""
    if first is None:
        return None
    return InvalidObject(
        f"{counts.refused:,} of {counts.seen:,} objects refused, so the watermark stays; "
        f"the first: {first.message}",
        field=first.field,
        hint=first.hint,
    )


def _lost() -> RunLost:
    return RunLost("the run was given to another worker")


class _Patience:
    """The time limit of an informer between two objects. It is not for waits of our own."""

    def __init__(self, limit: timedelta | None) -> None:
        self.wait_s: float | None = None if limit is None else limit.total_seconds()
        self.timeout: asyncio.Timeout = asyncio.timeout(self.wait_s)

    def stop(self) -> None:
        """Wait for nothing until renewed."""
        self._move(None)

    def end(self) -> None:
        """Wait no longer, nor ever again."""
        self.wait_s = None
        self._move(asyncio.get_running_loop().time())

    def renew(self) -> None:
        """An object came: wait afresh for the next. Moving a timer costs, so not every time."""
        if self.wait_s is None:
            return
        now = asyncio.get_running_loop().time()
        expires = self.timeout.when()
        if expires is None or expires - now < self.wait_s * 0.9:
            self._move(now + self.wait_s)

    def _move(self, when: float | None) -> None:
        with suppress(RuntimeError):  # it has just expired, and the cancellation is on its way
            self.timeout.reschedule(when)
