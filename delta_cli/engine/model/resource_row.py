"""A resource as it is stored: its row, with the failed attempts of its round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from delta_cli.engine.changes import Change, changes_between
from delta_cli.engine.states import ResourceState


@dataclass(frozen=True, slots=True)
class AttemptError:
    """One failed attempt of the current round.

    `error` is the exception's type, `trace` its traceback cut to 4 kB (None when there is none,
    as for a lost worker), `worker_id` the worker it happened on.
    """

    attempt: int
    at: datetime
    error: str
    message: str
    trace: str | None = None
    worker_id: int | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "AttemptError":
        """Read one element of the column `errors`."""
        return cls(
            attempt=value["attempt"],
            at=datetime.fromisoformat(value["at"]),
            error=value["error"],
            message=value["message"],
            trace=value.get("trace"),
            worker_id=value.get("worker_id"),
        )


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """A row of `delta_resource`, its objects as parsed JSON. The names are the columns'."""

    id: int
    namespace: str
    kind: str
    object_id: str
    state: ResourceState
    generation: int
    synced_generation: int | None
    term: int
    attempt: int
    max_attempts: int
    sync_count: int
    priority: int
    due_at: datetime | None
    lease_until: datetime | None
    worker_id: int | None
    created_at: datetime
    updated_at: datetime
    attempted_at: datetime | None
    synced_at: datetime | None
    external_created_at: datetime | None
    object: Any
    hash: bytes
    last_synced_object: Any | None
    metadata: Mapping[str, Any]
    tags: Sequence[str]
    errors: Sequence[AttemptError]

    @property
    def last_synced(self) -> Any | None:
        """The object that `work()` last succeeded on; None before the first sync."""
        if self.synced_at is None or self.last_synced_object is not None:
            return self.last_synced_object
        return self.object

    @property
    def changes(self) -> list[Change]:
        """The drift: what differs between the last synced object and the desired one."""
        return changes_between(self.last_synced, self.object)
