"""The states of a resource and every transition between them: the one place that decides a state.

SQL writes the states that this module names. `tests/model` drives the database in random order and
holds every step that it sees against `TRANSITIONS`.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final


class ResourceState(StrEnum):
    """Where a resource stands in its control loop. A Postgres enum of the same order."""

    UNKNOWN = "unknown"  # no controller has ever registered its kind
    SCHEDULED = "scheduled"  # waits for its due time
    PENDING = "pending"  # claimed by a worker
    SYNCED = "synced"  # the last work succeeded on the newest object
    FAILED = "failed"  # the last work failed and will be tried again
    DEGRADED = "degraded"  # its attempts are used up, or trying again cannot help
    EXPIRED = "expired"  # synced too long ago, or invalidated
    DELETED = "deleted"  # gone; the row stays until its retention has passed


class Trigger(StrEnum):
    """What moves a resource from one state to another."""

    INFORM_CHANGED = "inform, object changed"
    INFORM_EQUAL = "inform, object equal"
    PROCESS_EXISTING = "inform, object equal, process_existing"
    ADOPT = "a controller registered the kind"
    CLAIM = "claim"
    WORK_RETURNED = "work returned"
    WORK_RETURNED_LATE = "work returned, generation moved"
    WORK_RAISED = "work raised, attempts left"
    WORK_GAVE_UP = "work raised, no attempts left or Permanent"
    WORK_RAISED_LATE = "work raised, generation moved"
    SNOOZE = "work raised Snooze"
    RESOURCE_DELETE = "work raised ResourceDelete"
    RESOURCE_DELETE_LATE = "work raised ResourceDelete, generation moved"
    HARD_STOP = "hard stop of the worker"
    RESCUE = "worker lost or lease overdue, attempts left"
    RESCUE_GAVE_UP = "worker lost or lease overdue, no attempts left"
    EXPIRE = "namespace TTL passed"
    INVALIDATE = "invalidate"
    RETRY = "operator retry"
    DELETE = "operator delete"


_S = ResourceState
#: States that a claim takes from once they are due, and no others.
CLAIMABLE: Final = (_S.SCHEDULED, _S.FAILED, _S.EXPIRED)
#: States that operators may send back to work with `retry`.
RETRYABLE: Final = (_S.FAILED, _S.DEGRADED, _S.DELETED, _S.EXPIRED, _S.SCHEDULED)
#: States that operators may `delete`.
DELETABLE: Final = tuple(state for state in _S if state not in (_S.PENDING, _S.DELETED))
#: States that operators may `invalidate`.
INVALIDATABLE: Final = (_S.SYNCED,)

TRANSITIONS: Final[frozenset[tuple[ResourceState, Trigger, ResourceState]]] = frozenset(
    {
        *(
            (state, Trigger.INFORM_CHANGED, _S.SCHEDULED)
            for state in (_S.SCHEDULED, _S.FAILED, _S.EXPIRED, _S.DEGRADED, _S.SYNCED, _S.DELETED)
        ),
        (_S.PENDING, Trigger.INFORM_CHANGED, _S.PENDING),
        # As long as no controller has registered the kind, what an inform wakes waits for one.
        (_S.UNKNOWN, Trigger.INFORM_CHANGED, _S.UNKNOWN),
        (_S.DELETED, Trigger.INFORM_CHANGED, _S.UNKNOWN),
        (_S.DELETED, Trigger.INFORM_EQUAL, _S.UNKNOWN),
        (_S.SCHEDULED, Trigger.INFORM_CHANGED, _S.UNKNOWN),  # an operator's retry of a deleted one
        (_S.UNKNOWN, Trigger.INFORM_CHANGED, _S.SCHEDULED),  # just registered, not adopted yet
        (_S.DEGRADED, Trigger.INFORM_EQUAL, _S.SCHEDULED),
        (_S.DELETED, Trigger.INFORM_EQUAL, _S.SCHEDULED),
        (_S.SYNCED, Trigger.PROCESS_EXISTING, _S.SCHEDULED),
        (_S.UNKNOWN, Trigger.ADOPT, _S.SCHEDULED),
        *((state, Trigger.CLAIM, _S.PENDING) for state in CLAIMABLE),
        (_S.PENDING, Trigger.WORK_RETURNED, _S.SYNCED),
        (_S.PENDING, Trigger.WORK_RETURNED_LATE, _S.SCHEDULED),
        (_S.PENDING, Trigger.WORK_RAISED, _S.FAILED),
        (_S.PENDING, Trigger.WORK_GAVE_UP, _S.DEGRADED),
        (_S.PENDING, Trigger.WORK_RAISED_LATE, _S.SCHEDULED),
        (_S.PENDING, Trigger.SNOOZE, _S.SCHEDULED),
        (_S.PENDING, Trigger.RESOURCE_DELETE, _S.DELETED),
        (_S.PENDING, Trigger.RESOURCE_DELETE_LATE, _S.SCHEDULED),
        (_S.PENDING, Trigger.HARD_STOP, _S.SCHEDULED),
        (_S.PENDING, Trigger.RESCUE, _S.SCHEDULED),
        (_S.PENDING, Trigger.RESCUE_GAVE_UP, _S.DEGRADED),
        (_S.SYNCED, Trigger.EXPIRE, _S.EXPIRED),
        (_S.SYNCED, Trigger.INVALIDATE, _S.EXPIRED),
        *((state, Trigger.RETRY, _S.SCHEDULED) for state in RETRYABLE),
        *((state, Trigger.DELETE, _S.DELETED) for state in DELETABLE),
    }
)


@dataclass(frozen=True, slots=True)
class Landing:
    """Where one finished work lands its resource, if its generation has not moved meanwhile.

    When it has moved, there is newer desired state to work: the database lands the resource in
    `scheduled`, due now, with attempt 0, whatever stands here.
    """

    state: ResourceState
    attempt: int
    due_in: timedelta | None = None  # from the database's now; None: not due


def landing_after_success() -> Landing:
    """`work()` returned."""
    return Landing(_S.SYNCED, attempt=0)


def landing_after_failure(
    attempt: int, max_attempts: int, *, retry_in: timedelta, permanent: bool = False
) -> Landing:
    """`work()` raised, ran out of time, or its object could not be decoded."""
    if permanent or attempt >= max_attempts:
        return Landing(_S.DEGRADED, attempt=attempt)
    return Landing(_S.FAILED, attempt=attempt, due_in=retry_in)


def landing_after_snooze(attempt: int, delay: timedelta) -> Landing:
    """`work()` raised `Snooze`: the attempt does not count."""
    return Landing(_S.SCHEDULED, attempt=attempt - 1, due_in=delay)


def landing_after_delete(attempt: int) -> Landing:
    """`work()` raised `ResourceDelete`."""
    return Landing(_S.DELETED, attempt=attempt)


def landing_after_hard_stop(attempt: int) -> Landing:
    """The worker was told to stop at once: the attempt does not count."""
    return Landing(_S.SCHEDULED, attempt=attempt - 1, due_in=timedelta(0))
