"""Who works and within which limits: workers, controllers, namespaces and quotas."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any, Final

#: A worker that has missed so many of its heartbeats is silent, and may be lost.
SILENT_BEATS: Final = 3


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A row of `delta_worker`: one `delta run` process.

    `server_age_s`: since the server's start, before which it could not be heard of.
    """

    id: int
    host: str
    pid: int
    version: str
    state: str
    kinds: Sequence[str]
    namespaces: Sequence[str] | None
    in_flight: int
    capacity: int
    started_at: datetime
    heartbeat_at: datetime
    heartbeat_age_s: float
    synced: int
    failed: int
    deleted: int
    last_error: str | None
    paused: bool = False
    heartbeat_interval_s: float = 5.0
    server_age_s: float = inf

    @property
    def is_there(self) -> bool:
        """Whether it has not ended, as far as anybody knows."""
        return self.state in ("running", "draining")

    @property
    def silent(self) -> bool:
        """Whether it should be there and has not been heard of: so has one that was lost."""
        silent_s = min(self.heartbeat_age_s, self.server_age_s)
        missed = silent_s > SILENT_BEATS * self.heartbeat_interval_s
        return self.state == "lost" or (self.is_there and missed)


@dataclass(frozen=True, slots=True)
class ControllerRow:
    """A row of `delta_controller`: one kind. `inform_interval_s` None: never on its own."""

    kind: str
    inform_interval_s: float | None
    last_inform_time: datetime | None
    inform_due_at: datetime | None
    inform_failures: int
    parallelism: int
    fleet_parallelism: int | None
    object_schema: Any | None
    registered_at: datetime
    paused: bool


@dataclass(frozen=True, slots=True)
class NamespaceRow:
    """A row of `delta_namespace`. Seconds and limits are None where nothing is set."""

    name: str
    expiry_ttl_s: float | None
    max_workers: int | None
    fleet_max_workers: int | None
    synced_retention_s: float | None
    degraded_retention_s: float | None
    deleted_retention_s: float | None
    created_at: datetime
    updated_at: datetime
    paused: bool


@dataclass(frozen=True, slots=True)
class QuotaRow:
    """A row of `delta_quota`: a limit across the fleet, and how much of it is granted and used.

    `scope` is `kind` (its `fleet_parallelism`) or `namespace` (its `fleet_max_workers`).
    """

    scope: str
    name: str
    slot_limit: int
    granted: int
    used: int
    workers: int
    updated_at: datetime
