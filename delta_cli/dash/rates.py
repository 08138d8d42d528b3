"""How many resources each worker works in a minute: from its counters, as snapshots come."""

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from delta_cli.engine.model.fleet import WorkerRow

_OVER_S: Final = 60.0
_SHORTEST_S: Final = 2.0


class WorkerRates:
    """Keeps each worker's counters of the last minute, by the times of their heartbeats."""

    def __init__(self) -> None:
        self._seen: dict[int, deque[tuple[datetime, int]]] = {}

    def take(self, workers: Sequence[WorkerRow]) -> None:
        """The workers as they are now; those that are there no longer are forgotten."""
        self._seen = {worker.id: self._with(worker) for worker in workers}

    def _with(self, worker: WorkerRow) -> deque[tuple[datetime, int]]:
        seen = self._seen.get(worker.id, deque())
        works = worker.synced + worker.failed + worker.deleted
        if not seen or seen[-1][0] < worker.heartbeat_at:
            seen.append((worker.heartbeat_at, works))
        while len(seen) > 2 and (seen[-1][0] - seen[0][0]).total_seconds() > _OVER_S:  # noqa: PLR2004
            seen.popleft()
        return seen

    def per_minute(self, worker_id: int) -> float | None:
        """Works a minute; None until two heartbeats were seen."""
        seen = self._seen.get(worker_id)
        if not seen:
            return None
        seconds = (seen[-1][0] - seen[0][0]).total_seconds()
        return None if seconds < _SHORTEST_S else (seen[-1][1] - seen[0][1]) * 60 / seconds
