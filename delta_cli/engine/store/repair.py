"""What operators do to resources: invalidate, retry, delete. Each sends the states it may leave."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from delta_cli.engine.errors import StateConflict
from delta_cli.engine.model.event import EventCategory
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.queries import resource as queries
from delta_cli.engine.statements import Statement, Steps
from delta_cli.engine.states import DELETABLE, INVALIDATABLE, RETRYABLE, ResourceState


@dataclass(frozen=True, slots=True)
class Repair:
    """One kind of repair: the states it leaves, the one it enters, and its event.

    In `settled_states` there is nothing left to do: it is accepted, and writes nothing.
    Applications name them `Repair.INVALIDATE`, `Repair.RETRY` and `Repair.DELETE`.
    """

    INVALIDATE: ClassVar["Repair"]
    RETRY: ClassVar["Repair"]
    DELETE: ClassVar["Repair"]

    verb: str
    from_states: Sequence[ResourceState]
    to_state: ResourceState
    category: EventCategory
    due: bool
    new_round: bool
    settled_states: Sequence[ResourceState] = ()

    @property
    def accepted_states(self) -> Sequence[ResourceState]:
        """Those in which it is not refused."""
        return (*self.from_states, *self.settled_states)


INVALIDATE: Final = Repair(
    "invalidate",
    INVALIDATABLE,
    ResourceState.EXPIRED,
    EventCategory.OBJECT_INVALIDATED,
    due=True,
    new_round=False,
)
RETRY: Final = Repair(
    "retry",
    RETRYABLE,
    ResourceState.SCHEDULED,
    EventCategory.OBJECT_RETRIED,
    due=True,
    new_round=True,
)
DELETE: Final = Repair(
    "delete",
    DELETABLE,
    ResourceState.DELETED,
    EventCategory.OBJECT_DELETED,
    due=False,
    new_round=False,
    settled_states=(ResourceState.DELETED,),
)
Repair.INVALIDATE, Repair.RETRY, Repair.DELETE = INVALIDATE, RETRY, DELETE
_TOLD: Final = 3


def refusal(repair: Repair, rows: Sequence[ResourceRow]) -> StateConflict:
    """The error for resources whose state does not allow the repair; it names their states."""
    found = [f"{row.kind}/{row.object_id} is {row.state}" for row in rows[:_TOLD]]
    more = f", and {len(rows) - _TOLD:,} more are refused" if len(rows) > _TOLD else ""
    return StateConflict(
        f"{repair.verb} takes resources that are {', '.join(repair.accepted_states)}; "
        f"{', '.join(found)}{more}",
        hint=_way_out(rows[0].state),
    )


def require_settled(repair: Repair, row: ResourceRow) -> None:
    """Raises StateConflict for a resource that a repair has left alone, unless it is settled."""
    if row.state not in repair.settled_states:
        raise refusal(repair, [row])


def _way_out(state: ResourceState) -> str:
    match state:
        case ResourceState.PENDING:
            return "it is being worked: wait for the end of that, or cancel it"
        case ResourceState.UNKNOWN:
            return "it is worked once a controller registers its kind"
        case _:
            verb = next(one.verb for one in (INVALIDATE, RETRY) if state in one.from_states)
            return f"{verb} takes one that is {state}"


def apply_repair(
    repair: Repair,
    ids: Sequence[int],
    *,
    actor: str | None,
    from_states: Sequence[ResourceState] | None = None,
) -> Steps[list[int]]:
    """Repair rows by id. Returns the ids that were in a state that allows it.

    `from_states` narrows the states further, to those that the operator saw.
    """
    states = [state for state in repair.from_states if from_states is None or state in from_states]
    rows = yield Statement(
        queries.REPAIR,
        {
            "ids": list(ids),
            "from_states": [state.value for state in states],
            "to_state": repair.to_state.value,
            "due": repair.due,
            "new_round": repair.new_round,
            "category": repair.category.value,
            "actor": actor,
        },
    )
    return [row[0] for row in rows]
