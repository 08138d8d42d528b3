"""A run of a kind's informer in this process, seen through until its resources are worked too."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from delta_cli.engine.background import BackgroundWorker
from delta_cli.engine.cancelling import cancel_all
from delta_cli.engine.controller import Controllers
from delta_cli.engine.database import AWAY
from delta_cli.engine.dsn import mask_secrets
from delta_cli.engine.errors import ConfigError, DeltaError
from delta_cli.engine.model.inform import InformRun
from delta_cli.engine.session import Session
from delta_cli.engine.statements import Steps
from delta_cli.engine.store import runs

log = logging.getLogger(__name__)

#: How long a cancelled call waits for the run that it may have queued.
_QUEUE_S: Final = 5.0


def require_runnable(kind: str, controllers: Controllers, worker: BackgroundWorker) -> None:
    """Raises ConfigError unless this process has the kind's controller, and works it or nothing."""
    if kind not in controllers:
        raise ConfigError(
            f"kind {kind!r} has no controller in this process",
            hint="queue the run instead, or give the application with --app",
        )
    if worker.runtime is not None and kind not in worker.runtime.worker.controllers:
        raise ConfigError(
            f"this client works, and not kind {kind!r}",
            hint="queue the run instead, or name the kind in start()",
        )


@dataclass(frozen=True, slots=True)
class ForegroundInform:
    """The worker runs it: the client's, or where there is none, one for as long as this takes."""

    session: Session
    worker: BackgroundWorker
    kind: str

    async def run(self, queue: Steps[InformRun]) -> int:
        """Queue the run, see it through, and return its id. Given up, it has failed."""
        run = await self._queue(queue)
        was_working = self.worker.runtime is not None
        # In a task, which is asked again to end where the pool drops its cancellation.
        working = asyncio.create_task(self._inform_and_work(run.id))
        try:
            await asyncio.wait([working])
            await working
        except BaseException:
            await cancel_all(working)
            # Before the worker stops, whose runs are then queued for others.
            await asyncio.shield(self._interrupt(run))
            raise
        finally:
            if not was_working:
                await self.worker.close()
        return run.id

    async def _queue(self, queue: Steps[InformRun]) -> InformRun:
        """Cancelled while the run may be stored already, wait for that and end it."""
        queueing = asyncio.create_task(self.session.run(queue))
        try:
            return await asyncio.shield(queueing)
        except asyncio.CancelledError:
            await asyncio.wait([queueing], timeout=_QUEUE_S)
            await cancel_all(queueing)
            if not queueing.cancelled() and queueing.exception() is None:
                await self._interrupt(queueing.result())
            raise

    async def _inform_and_work(self, run_id: int) -> None:
        if self.worker.runtime is None:
            # A kind that is new is due at once: its interval's run would list the same again.
            await self.worker.start(kinds=[self.kind], informs=False)
        assert self.worker.runtime is not None
        await self.worker.runtime.inform_now(self.kind, run_id)
        await self.worker.wait_until_worked(self.kind)

    async def _interrupt(self, run: InformRun) -> None:
        """End a run that was given up; without the database it is left, and that is said."""
        fields = {"component": "client", "kind": run.kind, "run": run.id}
        try:
            state = (await self._end(run)).state
        except (*AWAY, DeltaError) as error:
            fields |= {"error": mask_secrets(str(error))}
            log.warning("foreground inform left to others", extra=fields)
        else:
            log.warning("foreground inform interrupted", extra=fields | {"state": state})

    async def _end(self, run: InformRun) -> InformRun:
        runtime = self.worker.runtime
        worker_id = None if runtime is None else runtime.worker.id
        async with self.session.connection() as connection:
            return await runs.interrupt(connection, run.id, worker_id=worker_id)
