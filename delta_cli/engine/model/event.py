"""The log of events, and the cursors that have names in it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from delta_cli.engine.states import ResourceState


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
