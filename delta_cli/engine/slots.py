"""How many works may run here: free slots per kind and namespace, shared fairly among due lanes.

Pure bookkeeping of one process; a slot is taken when a row is claimed and freed when its work ends.
"""

from collections import Counter
from collections.abc import Iterable, Mapping


class Slots:
    """The limits of one process and what is in use of them."""

    def __init__(self, parallelism: Mapping[str, int]) -> None:
        self._parallelism: dict[str, int] = dict(parallelism)
        self._max_workers: dict[str, int] = {}
        self._by_kind: Counter[str] = Counter()
        self._by_namespace: Counter[str] = Counter()
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
        self._by_kind[kind] += 1
        self._by_namespace[namespace] += 1
        self.in_use += 1

    def free(self, kind: str, namespace: str) -> None:
        """Its work has ended."""
        self._by_kind[kind] -= 1
        self._by_namespace[namespace] -= 1
        self.in_use -= 1

    def allocate(self, lanes: Iterable[tuple[str, str]], most: int) -> dict[tuple[str, str], int]:
        """Free slots for each due lane, at most `most` in all, as even as the limits allow."""
        waiting = [lane for lane in lanes if lane[0] in self._parallelism]
        kinds = {kind: self._parallelism[kind] - self._by_kind[kind] for kind, _ in waiting}
        namespaces = {
            name: self._max_workers.get(name, most) - self._by_namespace[name]
            if name in self._max_workers
            else most
            for _, name in waiting
        }
        shares: Counter[tuple[str, str]] = Counter()
        while waiting and most > 0:
            of_kind = Counter(kind for kind, _ in waiting)
            of_namespace = Counter(name for _, name in waiting)
            lanes_left = len(waiting)
            for lane in list(waiting):
                kind, name = lane
                free = min(most, kinds[kind], namespaces[name])
                if free <= 0:
                    waiting.remove(lane)
                    continue
                even = min(
                    most // lanes_left,
                    kinds[kind] // of_kind[kind],
                    namespaces[name] // of_namespace[name],
                )
                share = min(free, max(1, even))
                shares[lane] += share
                kinds[kind] -= share
                namespaces[name] -= share
                most -= share
        return dict(shares)
