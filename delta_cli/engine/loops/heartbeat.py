"""Keeps the worker's row alive, and notices when the fleet has given it up."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from delta_cli.engine.database import while_away
from delta_cli.engine.loops.base import Worker, WorkerCounts
from delta_cli.engine.store import workers
from delta_cli.engine.store.workers import WorkerVitals
from delta_cli.engine.telling import Facts

log = logging.getLogger(__name__)


class Heartbeat:
    """Beats every `heartbeat_interval`. `on_lost` is awaited when the row says lost, or is gone."""

    def __init__(
        self,
        worker: Worker,
        *,
        on_lost: Callable[[], Awaitable[None]],
        listener_lag_ms: Callable[[], float | None],
    ) -> None:
        self._worker: Worker = worker
        self._listener_lag_ms: Callable[[], float | None] = listener_lag_ms
        self._on_lost: Callable[[], Awaitable[None]] = on_lost
        self._former: WorkerCounts = WorkerCounts()  # what stands beside the worker's former ids

    async def run(self) -> None:
        """Beat until cancelled."""
        interval_s = self._worker.config.heartbeat_interval.total_seconds()
        while True:
            await asyncio.sleep(interval_s)
            began = time.monotonic()
            await while_away("heartbeat", self.beat)
            if time.monotonic() - began > interval_s:
                self._worker.reconnected = time.monotonic()

    async def beat(self) -> None:
        """One heartbeat."""
        worker = self._worker
        counts = replace(worker.counts)
        async with worker.database.connection() as connection:
            state = await workers.heartbeat(connection, worker.id, self.vitals())
        if state in ("lost", None):
            log.warning(
                "declared lost: %s",
                Facts(f"worker {worker.id}"),
                extra={"component": "heartbeat", "worker": worker.id},
            )
            await self._on_lost()
            self._former = counts
        else:
            worker.beaten = time.monotonic()

    def vitals(self) -> WorkerVitals:
        """What this worker says of itself now."""
        worker, former = self._worker, self._former
        return WorkerVitals(
            draining=worker.draining,
            in_flight=worker.slots.in_use,
            synced=worker.counts.synced - former.synced,
            failed=worker.counts.failed - former.failed,
            deleted=worker.counts.deleted - former.deleted,
            last_error=worker.last_error,
            claim_age_s=None if worker.last_claim is None else time.monotonic() - worker.last_claim,
            listener_lag_ms=self._listener_lag_ms(),
        )
