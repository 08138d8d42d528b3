"""Columns of a table, and how wide each is in the room there is. No I/O."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

#: Columns of this `drop` and above give way until those that come first have this part of it.
_GIVE_WAY: Final = ((1, 0.0), (3, 0.5), (5, 1.0))


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `drop`: a narrow table does without it, the highest first (0: never).

    `width` is what it needs; where there is room to spare it grows up to `most`. `first`: up to so
    much it grows before others do, and before columns that tell little are shown at all. `ends`:
    its texts are cut in their middle.
    """

    key: str
    title: str
    width: int
    right: bool = False
    drop: int = 0
    most: int = 0
    first: int = 0
    ends: bool = False


Fitted = Sequence[tuple[Column, int]]


def fit_columns(columns: Sequence[Column], room: int, texts: Mapping[str, int]) -> Fitted:
    """The columns for which there is room, with their widths; a space follows each.

    `texts`: how wide the widest text is of columns that may grow, by their keys, where it is known.
    None of them gets more.
    """

    def least(one: Column, part: float = 0.0) -> int:
        return min(max(one.width, int(one.first * part)), enough(one))

    def enough(one: Column) -> int:
        if not one.most:
            return one.width
        # Beside its title there is room for the sign of the order.
        return min(one.most, max(texts.get(one.key, one.most), len(one.title) + 1))

    shown = list(columns)
    for drop, part in _GIVE_WAY:
        _give_way(shown, room, drop, lambda one, part=part: least(one, part))
    widths = [least(one) for one in shown]
    for limit in (lambda one: least(one, 1.0), enough):
        widths = _grown(widths, [limit(one) for one in shown], room - len(shown))
    return list(zip(shown, widths, strict=True))


def _give_way(shown: list[Column], room: int, drop: int, width: Callable[[Column], int]) -> None:
    """Take columns out, the highest `drop` first, until the others have these widths."""
    while sum(width(one) + 1 for one in shown) > room:
        droppable = [one for one in shown if one.drop >= drop]
        if not droppable:
            break
        shown.remove(max(droppable, key=lambda one: one.drop))


def _grown(widths: Sequence[int], limits: Sequence[int], room: int) -> list[int]:
    """The widths when those below their limits have shared what is to spare."""
    grown = list(widths)
    spare = room - sum(grown)
    growing = [place for place, limit in enumerate(limits) if limit > grown[place]]
    while spare > 0 and growing:
        share = max(1, spare // len(growing))
        for place in growing:
            more = min(share, spare, limits[place] - grown[place])
            grown[place] += more
            spare -= more
        growing = [place for place in growing if grown[place] < limits[place]]
    return grown
