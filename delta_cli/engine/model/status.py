"""The whole system at one instant: its resources counted, its workers and its pauses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from delta_cli.engine.model.fleet import WorkerRow
from delta_cli.engine.model.pause import Pause
from delta_cli.engine.states import ResourceState


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
class Status:
    """The whole system at one instant of the database's clock.

    `workers` are those that are there; `workers_lost` counts those that were lost within a day.
    """

    at: datetime
    schema: str
    kinds: Sequence[KindStatus] = field(default_factory=tuple)
    workers: Sequence[WorkerRow] = field(default_factory=tuple)
    pauses: Sequence[Pause] = field(default_factory=tuple)
    workers_lost: int = 0

    @property
    def states(self) -> dict[ResourceState, int]:
        """How many resources are in each state, over all kinds and namespaces."""
        totals = dict.fromkeys(ResourceState, 0)
        for kind in self.kinds:
            for state, count in kind.states.items():
                totals[state] += count
        return totals
