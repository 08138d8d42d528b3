"""How a limit of the whole fleet is shared among its workers: pure planning, one quota at a time.

A plan only ever adds slots, and only free ones; what a worker holds beyond its target it gives back
by itself, as its works end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace


@dataclass(frozen=True, slots=True)
class Member:
    """A worker's part in a quota.

    `capacity`: the most it could use, 0 once it drains or is gone. `target`: of the last plan.
    """

    worker_id: int
    capacity: int
    granted: int
    target: int = 0


@dataclass(frozen=True, slots=True)
class Share:
    """What a plan gives a worker: its fair target, and how many slots it is granted on top now."""

    worker_id: int
    target: int
    raised: int


def plan(limit: int, available: int, members: Sequence[Member]) -> list[Share]:
    """Share `limit` slots, of which `available` are free now. Returns what is new to its worker."""
    targets = fair_targets(limit, members)
    raised = fair_raises(available, members, targets)
    return [
        Share(one.worker_id, targets[one.worker_id], raised[one.worker_id])
        for one in members
        if one.target != targets[one.worker_id] or raised[one.worker_id]
    ]


def fair_targets(limit: int, members: Sequence[Member]) -> dict[int, int]:
    """Even targets within capacities, that use the limit up as far as capacities allow.

    What does not divide evenly stays with those that are granted it already, else it goes to the
    oldest workers.
    """
    targets: dict[int, int] = {}
    left = limit
    # From the smallest up, so that what one cannot use is shared among those after it.
    by_capacity = sorted(members, key=lambda one: one.capacity)
    for position, one in enumerate(by_capacity):
        even = left // (len(by_capacity) - position)
        if one.capacity > even:
            return targets | _even_with_rest(left, by_capacity[position:])
        targets[one.worker_id] = one.capacity
        left -= one.capacity
    return targets


def _even_with_rest(left: int, members: Sequence[Member]) -> dict[int, int]:
    """`left` slots for members each of whom could use more than an even part of them."""
    even, rest = divmod(left, len(members))
    by_claim = sorted(members, key=lambda one: (one.granted <= even, one.worker_id))
    return {one.worker_id: even + (place < rest) for place, one in enumerate(by_claim)}


def fair_raises(
    available: int, members: Sequence[Member], targets: Mapping[int, int]
) -> dict[int, int]:
    """Share the free slots among those below their targets, always to whoever is granted least."""
    raised = {one.worker_id: 0 for one in members}
    waiting = [
        (one.granted, one.worker_id) for one in members if one.granted < targets[one.worker_id]
    ]
    heapify(waiting)
    while waiting and available > 0:
        granted, worker_id = waiting[0]
        raised[worker_id] += 1
        available -= 1
        if granted + 1 < targets[worker_id]:
            heapreplace(waiting, (granted + 1, worker_id))
        else:
            heappop(waiting)
    return raised
