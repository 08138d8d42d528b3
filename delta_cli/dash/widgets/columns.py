"""Columns of a table, and how wide each is in the room there is. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `drop`: a narrow table does without it, the highest first (0: never).

    `width` is what it needs; where there is room to spare it grows up to `most`.
    """

    key: str
    title: str
    width: int
    right: bool = False
    drop: int = 0
    most: int = 0


def fit_columns(columns: Sequence[Column], room: int) -> list[tuple[Column, int]]:
    """The columns for which there is room, with their widths; a space follows each."""
    shown = list(columns)
    while sum(one.width + 1 for one in shown) > room:
        droppable = [one for one in shown if one.drop]
        if not droppable:
            break
        shown.remove(max(droppable, key=lambda one: one.drop))
    widths = _grown(shown, room - sum(one.width + 1 for one in shown))
    return list(zip(shown, widths, strict=True))


def _grown(columns: Sequence[Column], spare: int) -> list[int]:
    """The widths when columns that may grow have shared what is to spare."""
    widths = [one.width for one in columns]
    growing = [place for place, one in enumerate(columns) if one.most > one.width]
    while spare > 0 and growing:
        share = max(1, spare // len(growing))
        for place in growing:
            more = min(share, spare, columns[place].most - widths[place])
            widths[place] += more
            spare -= more
        growing = [place for place in growing if widths[place] < columns[place].most]
    return widths
