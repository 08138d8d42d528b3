"""The table of states in plain Python: what every step must do to a resource, and to the log.

Nothing here looks at the database. Each method of `Reference` returns what the step returns, and
notes in `triggers` what it did to whom; a resource that is not noted must not be written at all.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from delta_cli.engine.states import ResourceState as S
from delta_cli.engine.states import Trigger

NAMESPACE_WITH_TTL: Final = "ttl"
NAMESPACE_WITHOUT_TTL: Final = "plain"


class Due(StrEnum):
    """When the control loop must look at a row."""

    NOW = "now"
    LATER = "later"
    NEVER = "never"


@dataclass(frozen=True, order=True)
class Key:
    """One resource of the one kind that the model knows."""

    namespace: str
    object_id: str


@dataclass(frozen=True)
class Desired:
    """An object: `version` is what `compare()` looks at, `text` is what it does not."""

    version: int
    text: str


@dataclass(frozen=True)
class Event:
    """What a step must leave in the log."""

    category: str
    key: Key
    state: S
    attempt: int
    generation: int
    sync_count: int
    worker: int | None = None
    error: str | None = None
    actor: str | None = None


@dataclass
class Row:
    """The columns that the table of states speaks of."""

    id: int
    state: S
    object: Desired
    max_attempts: int
    priority: int
    due: Due
    generation: int = 1
    synced_generation: int | None = None
    term: int = 0
    attempt: int = 0
    sync_count: int = 0
    worker: int | None = None
    overdue: bool = False  # its lease has run out
    aged: bool = False  # longer at rest than any TTL and retention
    last_synced: Desired | None = None
    claimed: Desired | None = None  # what the running work was given, if that was replaced
    errors: list[tuple[int, str]] = field(default_factory=list)

    def rest(self, state: S, due: Due) -> None:
        """Leave `pending`."""
        self.state, self.due = state, due
        self.worker, self.claimed, self.overdue = None, None, False

    def keep_error(self, attempt: int, name: str) -> None:
        """Of one round, the newest `max_attempts`."""
        self.errors = [*self.errors, (attempt, name)][-self.max_attempts :]


@dataclass(frozen=True)
class Claim:
    """What a worker remembers of a claim, for as long as it likes."""

    key: Key
    id: int
    term: int
    generation: int
    attempt: int
    max_attempts: int
    object: Desired
    worker: int


class Ending(StrEnum):
    """How a work ends."""

    SUCCESS = "success"
    FAILURE = "failure"
    PERMANENT = "permanent"
    SNOOZE = "snooze"
    SNOOZE_BRIEFLY = "snooze for no time"
    DELETE = "delete"


class Reference:
    """All resources, and the events since the last look."""

    def __init__(self) -> None:
        self.rows: dict[Key, Row] = {}
        self.controlled = False
        self.lost_workers: set[int] = set()
        self.triggers: dict[Key, Trigger] = {}
        self.removed: set[Key] = set()
        self.events: list[Event] = []

    def begin_step(self) -> None:
        """Forget what the last step did."""
        self.triggers, self.removed, self.events = {}, set(), []

    def has(self, *states: S) -> bool:
        """Whether any resource is in one of these states."""
        return any(row.state in states for row in self.rows.values())

    def is_due(self) -> bool:
        """Whether a claim would find anything. Only a worker with a controller claims."""
        return self.controlled and any(row.due is Due.NOW for row in self.rows.values())

    # Informing

    def inform(
        self,
        key: Key,
        new_id: int | None,
        desired: Desired,
        *,
        max_attempts: int,
        priority: int,
        revive: bool,
        process_existing: bool,
        guarded: bool,
    ) -> str:
        row = self.rows.get(key)
        if row is None:
            assert new_id is not None, f"{key} was not created"
            state, due = self._after_inform()
            self.rows[key] = Row(new_id, state, desired, max_attempts, priority, due)
            return "created"
        if row.state is S.DELETED and not revive:
            return "skipped"
        if guarded:
            if desired.version < row.object.version:
                return "stale"
            if desired.version == row.object.version:
                desired = row.object
        changed = desired != row.object
        again = row.state in (S.DEGRADED, S.DELETED) or (row.state is S.SYNCED and process_existing)
        if not changed and not again:
            return "unchanged"
        self._note(key, _inform_trigger(row.state, changed=changed))
        self._desire(row, desired, changed=changed)
        row.max_attempts, row.priority = max_attempts, priority
        return "updated"

    def _desire(self, row: Row, desired: Desired, *, changed: bool) -> None:
        row.generation += changed or row.state is S.DELETED
        if row.state is S.PENDING:
            row.claimed = row.claimed or row.object
        else:
            row.state, row.due = self._after_inform()
            row.attempt, row.errors = 0, []
        row.object = desired
        row.aged = False

    def _after_inform(self) -> tuple[S, Due]:
        return (S.SCHEDULED, Due.NOW) if self.controlled else (S.UNKNOWN, Due.NEVER)

    def register(self) -> None:
        """A controller registers the kind, and adopts what waits for it."""
        self.controlled = True
        for key, row in self.rows.items():
            if row.state is S.UNKNOWN:
                self._move(key, Trigger.ADOPT, S.SCHEDULED, Due.NOW)

    # Working

    def first_due(self, namespace: str) -> list[Key]:
        """What a claim takes from a lane: urgent ones first, and of those the longest overdue."""
        lane = [
            (row.priority, -row.id, key)
            for key, row in self.rows.items()
            if key.namespace == namespace and row.due is Due.NOW
        ]
        return [key for *_, key in sorted(lane)]

    def claim(self, key: Key, worker: int) -> Claim:
        row = self.rows[key]
        self._move(key, Trigger.CLAIM, S.PENDING, Due.NEVER)
        row.term += 1
        row.attempt += 1
        row.worker = worker
        return Claim(
            key, row.id, row.term, row.generation, row.attempt, row.max_attempts, row.object, worker
        )

    def is_held(self, claim: Claim) -> bool:
        """Whether the claim still stands."""
        row = self.rows.get(claim.key)
        return row is not None and (row.id, row.term, row.state) == (
            claim.id,
            claim.term,
            S.PENDING,
        )

    def complete(self, claim: Claim, ending: Ending) -> bool:
        """Returns whether the outcome was written."""
        if not self.is_held(claim):
            return False
        row = self.rows[claim.key]
        moved = row.generation != claim.generation
        error = None
        match ending:
            case Ending.SUCCESS:
                self._land_success(claim, row, moved=moved)
            case Ending.FAILURE | Ending.PERMANENT:
                error = f"{ending} in term {claim.term}"
                self._land_failure(claim, row, ending, moved=moved)
            case Ending.SNOOZE | Ending.SNOOZE_BRIEFLY:
                attempt = 0 if moved else row.attempt - 1
                later = ending is Ending.SNOOZE and not moved
                self._move(claim.key, Trigger.SNOOZE, S.SCHEDULED, Due.LATER if later else Due.NOW)
                row.attempt = attempt
            case Ending.DELETE:
                self._land_delete(claim, row, moved=moved)
        category = _CATEGORIES.get(ending)
        if category is not None and not (moved and ending is Ending.DELETE):
            self._tell(
                category,
                claim.key,
                attempt=claim.attempt,
                generation=claim.generation,
                worker=claim.worker,
                error=error,
            )
        return True

    def _land_success(self, claim: Claim, row: Row, *, moved: bool) -> None:
        if moved:
            self._move(claim.key, Trigger.WORK_RETURNED_LATE, S.SCHEDULED, Due.NOW)
        else:
            self._move(claim.key, Trigger.WORK_RETURNED, S.SYNCED, Due.NEVER)
        row.sync_count += 1
        row.synced_generation = claim.generation
        row.last_synced = claim.object
        row.attempt, row.errors = 0, []

    def _land_failure(self, claim: Claim, row: Row, ending: Ending, *, moved: bool) -> None:
        row.keep_error(claim.attempt, ending.value)
        if moved:
            self._move(claim.key, Trigger.WORK_RAISED_LATE, S.SCHEDULED, Due.NOW)
            row.attempt = 0
        elif ending is Ending.PERMANENT or claim.attempt >= claim.max_attempts:
            self._move(claim.key, Trigger.WORK_GAVE_UP, S.DEGRADED, Due.NEVER)
        else:
            self._move(claim.key, Trigger.WORK_RAISED, S.FAILED, Due.LATER)

    def _land_delete(self, claim: Claim, row: Row, *, moved: bool) -> None:
        if moved:
            # Somebody has informed it since: what they want is to be worked, whatever was gone.
            self._move(claim.key, Trigger.RESOURCE_DELETE_LATE, S.SCHEDULED, Due.NOW)
            row.attempt = 0
        else:
            self._move(claim.key, Trigger.RESOURCE_DELETE, S.DELETED, Due.NEVER)

    def release(self, claims: Iterable[Claim]) -> int:
        """A hard stop gives claims back. Returns how many still stood."""
        held = [claim for claim in claims if self.is_held(claim)]
        for claim in held:
            row = self.rows[claim.key]
            moved = row.generation != claim.generation
            self._move(claim.key, Trigger.HARD_STOP, S.SCHEDULED, Due.NOW)
            row.term += 1
            row.attempt = 0 if moved else row.attempt - 1
        return len(held)

    def rescue(self) -> int:
        """Returns how many claims were overdue."""
        overdue = [
            key
            for key, row in self.rows.items()
            if row.state is S.PENDING and (row.overdue or row.worker in self.lost_workers)
        ]
        for key in overdue:
            self._rescue(key)
        return len(overdue)

    def _rescue(self, key: Key) -> None:
        row = self.rows[key]
        attempt, worker, moved = row.attempt, row.worker, row.claimed is not None
        row.keep_error(attempt, "WorkerLost")
        if not moved and attempt >= row.max_attempts:
            self._move(key, Trigger.RESCUE_GAVE_UP, S.DEGRADED, Due.NEVER)
            category = "object_failed"
        else:
            self._move(key, Trigger.RESCUE, S.SCHEDULED, Due.NOW)
            row.attempt = 0 if moved else attempt
            category = "object_rescued"
        row.term += 1
        self._tell(category, key, attempt=attempt, worker=worker, error="worker lost")

    # Time

    def expire(self) -> int:
        return self._each_aged(
            lambda key, row: row.state is S.SYNCED and key.namespace == NAMESPACE_WITH_TTL,
            lambda key: self._move(key, Trigger.EXPIRE, S.EXPIRED, Due.NOW),
        )

    def clean(self) -> int:
        return self._each_aged(
            lambda key, row: (
                row.state in (S.DELETED, S.DEGRADED)
                or (row.state is S.SYNCED and key.namespace == NAMESPACE_WITHOUT_TTL)
            ),
            self.removed.add,
        )

    def _each_aged(self, chosen, act) -> int:  # pyright: ignore[reportMissingParameterType]
        keys = [key for key, row in self.rows.items() if row.aged and chosen(key, row)]
        for key in keys:
            act(key)
        for key in self.removed:
            self.rows.pop(key, None)
        return len(keys)

    # Operators

    def repair(self, keys: Iterable[Key], what: "Repairs", actor: str | None) -> set[Key]:
        states, trigger, to_state, category = _REPAIRS[what]
        repaired = {key for key in keys if key in self.rows and self.rows[key].state in states}
        for key in repaired:
            self._move(key, trigger, to_state, Due.NEVER if to_state is S.DELETED else Due.NOW)
            if what is Repairs.RETRY:
                self.rows[key].attempt, self.rows[key].errors = 0, []
            self._tell(category, key, actor=actor)
        return repaired

    # Notes

    def _note(self, key: Key, trigger: Trigger) -> None:
        assert key not in self.triggers, "a step moves a resource once"
        self.triggers[key] = trigger

    def _move(self, key: Key, trigger: Trigger, state: S, due: Due) -> None:
        self._note(key, trigger)
        self.rows[key].rest(state, due)
        self.rows[key].aged = False

    def _tell(
        self,
        category: str,
        key: Key,
        *,
        attempt: int | None = None,
        generation: int | None = None,
        worker: int | None = None,
        error: str | None = None,
        actor: str | None = None,
    ) -> None:
        row = self.rows[key]
        self.events.append(
            Event(
                category,
                key,
                row.state,
                row.attempt if attempt is None else attempt,
                generation or row.generation,
                row.sync_count,
                worker,
                error,
                actor,
            )
        )


class Repairs(StrEnum):
    """What an operator does to resources."""

    INVALIDATE = "invalidate"
    RETRY = "retry"
    DELETE = "delete"


_REPAIRS: Final = {
    Repairs.INVALIDATE: ({S.SYNCED}, Trigger.INVALIDATE, S.EXPIRED, "object_invalidated"),
    Repairs.RETRY: (
        {S.FAILED, S.DEGRADED, S.DELETED, S.EXPIRED, S.SCHEDULED},
        Trigger.RETRY,
        S.SCHEDULED,
        "object_retried",
    ),
    Repairs.DELETE: (set(S) - {S.PENDING, S.DELETED}, Trigger.DELETE, S.DELETED, "object_deleted"),
}
_CATEGORIES: Final = {
    Ending.SUCCESS: "object_synced",
    Ending.FAILURE: "object_failed",
    Ending.PERMANENT: "object_failed",
    Ending.DELETE: "object_deleted",
}


def _inform_trigger(state: S, *, changed: bool) -> Trigger:
    if changed:
        return Trigger.INFORM_CHANGED
    return Trigger.PROCESS_EXISTING if state is S.SYNCED else Trigger.INFORM_EQUAL


def counted(events: Iterable[Event]) -> Counter[Event]:
    """Events of one statement, which has no order among its own rows."""
    return Counter(events)
