"""Counts a table of any size in stretches of ids, of which each refresh counts one again.

A small table is one stretch and always exact. Of a large one, no look costs more than one stretch,
and every count is as old as one round at most. Only the last stretch grows: ids only go up.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from delta_cli.engine.states import ResourceState
from delta_cli.engine.store.overview import NO_END, Chunk

#: Rows that one look reads: some 30 ms of a server's time.
LOOK: Final = 50_000

LaneStates = dict[tuple[str, str, ResourceState], int]


@dataclass(slots=True)
class _Stretch:
    after_id: int
    until_id: int = NO_END
    states: LaneStates = field(default_factory=dict)
    counted_at: float | None = None  # on the monotonic clock


class Counts:
    """The counts so far. Ask `next_stretch`, count it, and `take` the result."""

    def __init__(self, look: int = LOOK) -> None:
        self.look: int = look
        self._stretches: list[_Stretch] = [_Stretch(0)]
        self._next: int = 0
        self.is_complete: bool = False

    @property
    def next_stretch(self) -> tuple[int, int]:
        """Which ids to count next: beyond the first, up to the second."""
        stretch = self._stretches[self._next]
        return stretch.after_id, stretch.until_id

    def take(self, chunk: Chunk, now: float) -> None:
        """Keep what was counted of that stretch."""
        stretch = self._stretches[self._next]
        stretch.states, stretch.counted_at = chunk.states, now
        is_last = self._next == len(self._stretches) - 1
        if is_last and chunk.rows >= self.look and chunk.last is not None:
            stretch.until_id = chunk.last
            self._stretches.append(_Stretch(chunk.last))
            is_last = False
        if is_last:
            self.is_complete = True
            self._join_thin()
        self._next = 0 if is_last else self._next + 1

    def _join_thin(self) -> None:
        """Cleaning thins stretches out: neighbours that fit into one become one."""
        joined: list[_Stretch] = []
        for stretch in self._stretches:
            last = joined[-1] if joined else None
            rows = sum(stretch.states.values())
            if last is not None and sum(last.states.values()) + rows <= self.look // 2:
                last.until_id = stretch.until_id
                last.states = dict(Counter(last.states) + Counter(stretch.states))
                last.counted_at = min(last.counted_at or 0.0, stretch.counted_at or 0.0)
            else:
                joined.append(stretch)
        self._stretches = joined

    @property
    def totals(self) -> LaneStates:
        """Resources by kind, namespace and state."""
        totals: Counter[tuple[str, str, ResourceState]] = Counter()
        for stretch in self._stretches:
            totals.update(stretch.states)
        return dict(totals)

    def age_s(self, now: float) -> float:
        """How old the oldest of the counts is."""
        times = [one.counted_at for one in self._stretches if one.counted_at is not None]
        return now - min(times, default=now)

    @property
    def stretches(self) -> int:
        """How many looks one round takes."""
        return len(self._stretches)
