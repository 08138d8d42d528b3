"""How many works may run here: free slots per kind and namespace, shared fairly among due lanes.

Pure bookkeeping of one process; a slot is taken when a row is claimed and freed when its work ends.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heapreplace
from typing import TypeAlias

Lane: TypeAlias = tuple[str, str]  # kind and namespace


class Slots:
    """The limits of one process and what is in use of them."""

    def __init__(self, parallelism: Mapping[str, int]) -> None:
        self._parallelism: dict[str, int] = dict(parallelism)
        self._max_workers: dict[str, int] = {}
        self._by_lane: Counter[Lane] = Counter()
        self._served_at: dict[Lane, int] = {}
        self._allocations: int = 0
        self.in_use: int = 0

    @property
    def capacity(self) -> int:
        """How many works may run at once, over all kinds."""
        return sum(self._parallelism.values())

    def limit_namespaces(self, max_workers: Mapping[str, int]) -> None:
        """Replace the limits of namespaces; those not named have none."""
        self._max_workers = dict(max_workers)

    def take(self, kind: str, namespace: str) -> None:
        """A row was claimed."""
        self._by_lane[kind, namespace] += 1
        self.in_use += 1

    def free(self, kind: str, namespace: str) -> None:
        """Its work has ended."""
        self._by_lane[kind, namespace] -= 1
        self.in_use -= 1

    def allocate(self, lanes: Iterable[Lane], most: int) -> dict[Lane, int]:
        """Free slots for each due lane, at most `most` in all.

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
