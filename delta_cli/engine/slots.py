"""How many works may run here: free slots per kind and namespace, shared fairly among due lanes.

Pure bookkeeping of one process. A slot of the process is taken when a row is claimed and freed when
its work ends; one of the fleet is held from before the claim until the outcome is written.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heapreplace
from typing import Final, TypeAlias

Lane: TypeAlias = tuple[str, str]  # kind and namespace
Scope: TypeAlias = tuple[
    str, str
]  # what a limit of the fleet is of: KIND or NAMESPACE, and its name

KIND: Final = "kind"
NAMESPACE: Final = "namespace"


class Slots:
    """The limits of one process and what is in use of them."""

    def __init__(self, parallelism: Mapping[str, int]) -> None:
        self._parallelism: dict[str, int] = dict(parallelism)
        self._max_workers: dict[str, int] = {}
        self._fleet: dict[Scope, int] = {}
        self._reserved: Counter[Lane] = Counter()
        self._by_lane: Counter[Lane] = Counter()
        self._served_at: dict[Lane, int] = {}
        self._allocations: int = 0
        self.in_use: int = 0

    @property
    def capacity(self) -> int:
        """How many works may run at once, over all kinds."""
        return sum(self._parallelism.values())

    def limit(self, max_workers: Mapping[str, int], fleet: Mapping[Scope, int]) -> bool:
        """Replace the limits of namespaces, and this process's parts in the limits of the fleet.

        What is not named has none. Returns whether anything has changed.
        """
        before = (self._max_workers, self._fleet)
        self._max_workers, self._fleet = dict(max_workers), dict(fleet)
        return before != (self._max_workers, self._fleet)

    def close_fleet(self) -> None:
        """Allocate no more of what the fleet limits, until the limits are replaced."""
        self._fleet = dict.fromkeys(self._fleet, 0)

    @property
    def has_fleet_limits(self) -> bool:
        """Whether any limit of the fleet concerns this process."""
        return bool(self._fleet)

    def capacity_of(self, scope: Scope) -> int:
        """The most that this process could use of a limit of the fleet."""
        what, name = scope
        if what == KIND:
            return self._parallelism.get(name, 0)
        return min(self.capacity, self._max_workers.get(name, self.capacity))

    def reserve(self, shares: Mapping[Lane, int]) -> None:
        """A claim is sent: until it is heard of, it may have taken all that it was given."""
        self._reserved.update(shares)

    def settle(self, shares: Mapping[Lane, int]) -> None:
        """The claim is heard of, and what it took is taken."""
        self._reserved.subtract(shares)

    def settle_all(self) -> None:
        """No claim is left that was not heard of."""
        self._reserved.clear()

    def is_claiming(self, scope: Scope) -> bool:
        """Whether a claim that was not heard of yet may take slots of this scope."""
        return any(
            count and scope in ((KIND, kind), (NAMESPACE, namespace))
            for (kind, namespace), count in self._reserved.items()
        )

    def held(self, unwritten: Iterable[Lane]) -> Counter[Scope]:
        """How many slots of the fleet are held, by what they may be limited by.

        `unwritten`: the lane of each work that has ended and whose outcome is not written yet.
        """
        held: Counter[Scope] = Counter()
        for lanes in (self._by_lane, self._reserved, Counter(unwritten)):
            for (kind, namespace), count in lanes.items():
                held[KIND, kind] += count
                held[NAMESPACE, namespace] += count
        return held

    def take(self, lanes: Iterable[Lane]) -> None:
        """Rows were claimed; `lanes`: the lane of each."""
        taken = Counter(lanes)
        self._by_lane.update(taken)
        self.in_use += taken.total()

    def free(self, kind: str, namespace: str) -> None:
        """Its work has ended."""
        self._by_lane[kind, namespace] -= 1
        self.in_use -= 1

    def allocate(
        self, lanes: Iterable[Lane], most: int, unwritten: Iterable[Lane] = ()
    ) -> dict[Lane, int]:
        """Free slots for each due lane, at most `most` in all. `unwritten` as in `held()`.

        Slot after slot goes to the lane that has the fewest, of equals to the one that was served
        the longest ago: a lane with a million due rows leaves the others their share, also where
        there is one slot for all.
        """
        kinds, namespaces = dict(self._parallelism), dict(self._max_workers)
        for (kind, name), in_use in self._by_lane.items():
            if kind in kinds:
                kinds[kind] -= in_use
            if name in namespaces:
                namespaces[name] -= in_use
        if self._fleet:
            self._tighten(kinds, namespaces, unwritten)
        waiting = [
            (self._by_lane[lane], self._served_at.get(lane, 0), order, lane)
            for order, lane in enumerate(lanes)
            if lane[0] in kinds
        ]
        heapify(waiting)
        shares: Counter[Lane] = Counter()
        while waiting and most > 0:
            in_use, served_at, order, lane = waiting[0]
            kind, name = lane
            free = min(most, kinds[kind], namespaces.get(name, most))
            if free <= 0:
                heappop(waiting)
                continue
            share = 1 if len(waiting) > 1 else free
            heapreplace(waiting, (in_use + share, served_at, order, lane))
            shares[lane] += share
            kinds[kind] -= share
            if name in namespaces:
                namespaces[name] -= share
            most -= share
        self._allocations += 1
        self._served_at.update(dict.fromkeys(shares, self._allocations))
        return dict(shares)

    def _tighten(
        self, kinds: dict[str, int], namespaces: dict[str, int], unwritten: Iterable[Lane]
    ) -> None:
        """Leave free no more than the limits of the fleet do."""
        held = self.held(unwritten)
        for (what, name), limit in self._fleet.items():
            free = limit - held[what, name]
            if what == NAMESPACE:
                namespaces[name] = min(namespaces.get(name, free), free)
            elif name in kinds:
                kinds[name] = min(kinds[name], free)
