"""The values that travel: rows, events, runs and results. They decide nothing."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar

from delta_cli.engine.changes import Change, changes_between
from delta_cli.engine.states import ResourceState

T = TypeVar("T")

#: What an inform of one object did.
InformOutcome = Literal["created", "updated", "unchanged", "stale", "skipped", "refused"]


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


class Resource(Generic[T]):
    """What `work()` receives: the claimed row, its object decoded to the controller's class.

    `attempt` is 1 on the first try of a round. A plain class with slots, not a dataclass: one is
    built for every claim, and filled by one unpacking of its row.
    """

    __slots__: tuple[str, ...] = (
        "_decode",
        "_errors_json",
        "_last_synced_json",
        "_metadata_json",
        "_object_json",
        "_tags_json",
        "attempt",
        "attempted_at",
        "created_at",
        "external_created_at",
        "generation",
        "id",
        "kind",
        "max_attempts",
        "namespace",
        "object",
        "object_id",
        "priority",
        "sync_count",
        "synced_at",
        "synced_generation",
        "term",
    )

    id: int
    namespace: str
    kind: str
    object_id: str
    generation: int
    synced_generation: int | None
    term: int
    attempt: int
    max_attempts: int
    sync_count: int
    priority: int
    created_at: datetime
    attempted_at: datetime
    synced_at: datetime | None
    external_created_at: datetime | None
    object: T
    _decode: Callable[[str], T]
    _metadata_json: str | None
    _tags_json: str | None
    _errors_json: str | None
    _object_json: str
    _last_synced_json: str | None

    @classmethod
    def from_claim(cls, row: Sequence[Any]) -> "Resource[Any]":
        """A claimed row as `queries.work.CLAIM` returns it; its object is decoded later."""
        resource = cls.__new__(cls)
        (
            resource.id,
            resource.namespace,
            resource.kind,
            resource.object_id,
            resource.generation,
            resource.synced_generation,
            resource.term,
            resource.attempt,
            resource.max_attempts,
            resource.sync_count,
            resource.priority,
            resource.created_at,
            resource.attempted_at,
            resource.synced_at,
            resource.external_created_at,
            resource._metadata_json,  # noqa: SLF001
            resource._tags_json,  # noqa: SLF001
            resource._errors_json,  # noqa: SLF001
            resource._object_json,  # noqa: SLF001
            resource._last_synced_json,  # noqa: SLF001
        ) = row
        return resource

    def decode_with(self, decode: Callable[[str], T]) -> None:
        """Decode the object. Raises InvalidObject when the class no longer accepts it."""
        self._decode = decode
        self.object = decode(self._object_json)

    @property
    def last_synced(self) -> T | None:
        """The object that `work()` last succeeded on; None before the first sync.

        Raises InvalidObject when the class no longer accepts it.
        """
        if self.synced_at is None:
            return None
        return self._decode(self._last_synced_json or self._object_json)

    @property
    def changes(self) -> list[Change]:
        """The drift: what differs between the last synced object and this one.

        Before the first sync, the whole object is one change from None.
        """
        new = json.loads(self._object_json)
        if self.synced_at is None:
            return changes_between(None, new)
        old = self._last_synced_json
        return [] if old is None else changes_between(json.loads(old), new)

    @property
    def errors(self) -> list[AttemptError]:
        """The failed attempts of this round, newest last."""
        return [AttemptError.from_json(error) for error in json.loads(self._errors_json or "[]")]

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the inform gave along."""
        return json.loads(self._metadata_json or "{}")

    @property
    def tags(self) -> Sequence[str]:
        """The tags that the inform gave."""
        return json.loads(self._tags_json or "[]")

    def __repr__(self) -> str:
        return f"Resource({self.kind}/{self.object_id}, namespace={self.namespace!r})"


@dataclass(frozen=True, slots=True)
class InformResult:
    """What an inform of one object did, and the row as it stands now."""

    outcome: InformOutcome
    row: ResourceRow


@dataclass(frozen=True, slots=True)
class InformCounts:
    """What a stream of informs did. `seen` is the sum of the others.

    `stale`: older than the stored object, by `compare()`. `skipped`: deleted resources that an
    informer run reported. `refused`: objects that were not valid.
    """

    seen: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0
    skipped: int = 0
    refused: int = 0

    def __add__(self, other: "InformCounts") -> "InformCounts":
        return InformCounts(
            *(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__)
        )


class InformRunState(StrEnum):
    """Where an inform run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class InformRun:
    """A row of `delta_inform`: one run of one kind's informer.

    `error` says why it failed or, of one that succeeded, that some of its objects were refused.
    """

    id: int
    kind: str
    state: InformRunState
    after: datetime | None
    limit: int | None
    labels: Mapping[str, str]
    order_by: str | None
    process_existing: bool
    requested_by: str
    worker_id: int | None
    counts: InformCounts
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class EventCategory(StrEnum):
    """What an event records. Subscribers name those they want; new ones may be added."""

    OBJECT_SYNCED = "object_synced"
    OBJECT_FAILED = "object_failed"  # will be retried, or degraded: look at the state
    OBJECT_DELETED = "object_deleted"
    OBJECT_INVALIDATED = "object_invalidated"
    OBJECT_RETRIED = "object_retried"
    OBJECT_RESCUED = "object_rescued"


@dataclass(frozen=True, slots=True)
class Event:
    """A row of `delta_event`, the ordered log. `id` is what a subscriber resumes from.

    `state` is the state that the resource went to; `duration_ms` how long the work took.
    """

    id: int
    at: datetime
    category: EventCategory
    resource_id: int
    namespace: str
    kind: str
    object_id: str
    state: ResourceState
    attempt: int
    max_attempts: int
    generation: int
    sync_count: int
    worker: int | None
    duration_ms: float | None
    error: str | None
    actor: str | None


@dataclass(frozen=True, slots=True)
class EventGap:
    """Yielded by a subscription where retention has cut the log: `count` event ids are gone."""

    count: int


@dataclass(frozen=True, slots=True)
class SubscriptionRow:
    """A row of `delta_subscription`: a named cursor. `behind` counts the ids of the log beyond."""

    name: str
    position: int
    behind: int
    created_at: datetime
    acknowledged_at: datetime


@dataclass(frozen=True, slots=True)
class KindStatus:
    """How many resources of one kind and namespace are in each state, and how many are due.

    `paused`: its kind or its namespace is, so that none of them is worked.
    """

    kind: str
    namespace: str
    states: Mapping[ResourceState, int]
    due: int
    oldest_due_at: datetime | None
    paused: bool


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A row of `delta_worker`: one `delta run` process."""

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


class PauseScope(StrEnum):
    """What a pause holds back."""

    KIND = "kind"
    NAMESPACE = "namespace"
    WORKER = "worker"
    TICK = "tick"


@dataclass(frozen=True, slots=True)
class Pause:
    """A row of `delta_pause`. `until` None: until it is resumed."""

    scope: PauseScope
    name: str
    reason: str | None
    actor: str | None
    created_at: datetime
    until: datetime | None

    @property
    def told(self) -> str:
        """What is paused since when, by whom, until when and why, in one sentence."""
        by = "" if self.actor is None else f" by {self.actor}"
        until = "" if self.until is None else f" until {_moment(self.until)}"
        reason = "" if self.reason is None else f": {self.reason}"
        since = _moment(self.created_at)
        return f"{self.scope} {self.name!r} is paused since {since}{by}{until}{reason}"


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


class TickOutcome(StrEnum):
    """How one tick ended. A skip is never a failure."""

    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"


class SkipReason(StrEnum):
    """Why a tick did not run its work."""

    LOCK_BUSY = "lock busy"
    NOT_DUE = "not due"
    SWITCHED_OFF = "switched off"
    PAUSED = "paused"
    DATABASE_UNAVAILABLE = "database unavailable"


@dataclass(frozen=True, slots=True)
class WorkerHealth:
    """How one periodic service has fared. `consecutive_failures` is zero again after a success."""

    last_start: datetime | None = None
    last_success: datetime | None = None
    last_failure: datetime | None = None
    last_error: str | None = None
    consecutive_failures: int = 0
    last_skip: datetime | None = None
    last_skip_reason: SkipReason | None = None
    last_count: int | None = None
    count_key: str | None = None
    last_duration_ms: float | None = None


@dataclass(frozen=True, slots=True)
class TickRun:
    """A row of `delta_tick_run`: one run of a tick's work. `outcome` None while it runs."""

    run_id: str
    outcome: TickOutcome | None
    holder: str
    started_at: datetime
    finished_at: datetime | None
    duration_ms: float | None
    count: int | None
    count_key: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class TickRow:
    """A row of `delta_tick`: one periodic service as the fleet knows it, its last runs first."""

    name: str
    interval_s: float
    lock_id: int
    enabled: bool
    last_start: datetime | None
    last_success: datetime | None
    last_failure: datetime | None
    last_error: str | None
    consecutive_failures: int
    last_skip: datetime | None
    last_skip_reason: SkipReason | None
    last_count: int | None
    count_key: str | None
    last_duration_ms: float | None
    next_due: datetime | None
    holder: str | None
    paused: bool
    runs: Sequence[TickRun] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """The whole system at one instant of the database's clock."""

    at: datetime
    schema: str
    kinds: Sequence[KindStatus] = field(default_factory=tuple)
    workers: Sequence[WorkerRow] = field(default_factory=tuple)
    pauses: Sequence[Pause] = field(default_factory=tuple)

    @property
    def states(self) -> dict[ResourceState, int]:
        """How many resources are in each state, over all kinds and namespaces."""
        totals = dict.fromkeys(ResourceState, 0)
        for kind in self.kinds:
            for state, count in kind.states.items():
                totals[state] += count
        return totals


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
