"""Decides where copies go, from how full the backends are. Nothing here touches a file."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fill:
    """How full a backend is, in bytes. `is_there`: whether it can take copies at all."""

    name: str
    used: int
    quota: int
    is_there: bool = True

    @property
    def free(self) -> int:
        return self.quota - self.used

    @property
    def level(self) -> float:
        """From 0, empty, to 1, full; more where the quota was lowered since."""
        return self.used / self.quota

    def after(self, change: int) -> float:
        """Its level with so many bytes more, or less."""
        return (self.used + change) / self.quota

    def __str__(self) -> str:
        away = "" if self.is_there else ", away"
        return f"{self.name}: {self.used:,} of {self.quota:,} bytes, {self.level:.0%}{away}"


@dataclass(frozen=True, slots=True)
class Move:
    """A copy that goes from one backend to another."""

    source: str
    target: str


def next_target(fills: Sequence[Fill], holders: Collection[str], size: int) -> str | None:
    """The emptiest backend that has room and no copy; None if there is none."""
    open_ones = [fill for fill in _others(fills, holders) if fill.free >= size]
    return min(open_ones, key=lambda fill: fill.level).name if open_ones else None


def why_no_target(fills: Sequence[Fill], holders: Collection[str], size: int) -> str:
    """What to tell when there is no target."""
    others = _others(fills, holders)
    if not others:
        there = sum(fill.is_there for fill in fills)
        return f"no further backend ({there} of {len(fills)} are there)"
    names = ", ".join(fill.name for fill in others)
    return f"no room for {size:,} bytes on {names}"


def next_to_trim(fills: Sequence[Fill], holders: Collection[str]) -> str:
    """The fullest of the holders."""
    return max((fill for fill in fills if fill.name in holders), key=lambda fill: fill.level).name


def are_level(fills: Sequence[Fill], margin: float) -> bool:
    """Whether no backend is fuller than another by more than `margin` (a part of 1)."""
    levels = [fill.level for fill in fills if fill.is_there]
    return not levels or max(levels) - min(levels) <= margin


def next_move(
    fills: Sequence[Fill], holders: Collection[str], size: int, margin: float
) -> Move | None:
    """From the fullest holder to the emptiest other with room, if they differ by the margin.

    The target must not end fuller than the source, so that no move is ever undone by the next.
    """
    holding = [fill for fill in fills if fill.name in holders]
    target = next_target(fills, holders, size)
    if not holding or target is None:
        return None
    fullest = max(holding, key=lambda fill: fill.level)
    emptiest = next(fill for fill in fills if fill.name == target)
    if fullest.level - emptiest.level <= margin or emptiest.after(size) > fullest.after(-size):
        return None
    return Move(fullest.name, target)


def _others(fills: Sequence[Fill], holders: Collection[str]) -> list[Fill]:
    return [fill for fill in fills if fill.is_there and fill.name not in holders]
