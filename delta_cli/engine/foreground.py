"""A run of a kind's informer in this process, seen through until its resources are worked too."""

import asyncio
import logging
from dataclasses import dataclass

from delta_cli.engine.background import BackgroundWorker
from delta_cli.engine.cancelling import cancel_all
from delta_cli.engine.controller import Controllers
from delta_cli.engine.errors import ConfigError
from delta_cli.engine.model.inform import InformRun
from delta_cli.engine.session import Session
from delta_cli.engine.statements import Steps
from delta_cli.engine.store import runs

log = logging.getLogger(__name__)


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
        """Queue the run, see it through, and return its id. Cancelled, it ends it as failed."""
        run = await self.session.run(queue)
        was_working = self.worker.runtime is not None
        # In a task, which is asked again to end where the pool drops its cancellation.
        working = asyncio.create_task(self._inform_and_work(run.id))
        try:
            await asyncio.wait([working])
            await working
        except asyncio.CancelledError:
            await cancel_all(working)
            # Before the worker stops, whose runs are then queued for others.
            await asyncio.shield(self._interrupt(run))
            raise
        finally:
            if not was_working:
                await self.worker.stop()
        return run.id

    async def _inform_and_work(self, run_id: int) -> None:
        if self.worker.runtime is None:
            # A kind that is new is due at once: its interval's run would list the same again.
            await self.worker.start(kinds=[self.kind], informs=False)
        assert self.worker.runtime is not None
        await self.worker.runtime.inform_now(self.kind, run_id)
        await self.worker.wait_until_worked(self.kind)

    async def _interrupt(self, run: InformRun) -> None:
        runtime = self.worker.runtime
        worker_id = None if runtime is None else runtime.worker.id
        async with self.session.connection() as connection:
            now = await runs.interrupt(connection, run.id, worker_id=worker_id)
        log.warning(
            "foreground inform interrupted",
            extra={"component": "client", "kind": run.kind, "run": run.id, "state": now.state},
        )
