"""What operators do to resources: invalidate, retry, delete. Each sends the states it may leave."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from delta_cli.engine.errors import StateConflict
from delta_cli.engine.model.event import EventCategory
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.queries import resource as queries
from delta_cli.engine.statements import Statement, Steps
from delta_cli.engine.states import DELETABLE, INVALIDATABLE, RETRYABLE, ResourceState


@dataclass(frozen=True, slots=True)
class Repair:
    """One kind of repair: the states it leaves, the one it enters, and its event."""

    verb: str
    from_states: Sequence[ResourceState]
    to_state: ResourceState
    category: EventCategory
    due: bool
    new_round: bool


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
)


def refusal(repair: Repair, row: ResourceRow) -> StateConflict:
    """The error for a resource whose state does not allow the repair; it names the state."""
    allowed = ", ".join(repair.from_states)
    return StateConflict(
        f"{row.kind}/{row.object_id} is {row.state}: {repair.verb} is refused",
        hint=f"{repair.verb} takes resources that are {allowed}",
    )


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
