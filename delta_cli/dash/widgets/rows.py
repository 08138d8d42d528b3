"""Rows of a table: known by their keys, sorted by their values, drawn only when they are seen."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from delta_cli.dash.tones import Piece
from delta_cli.dash.words import shown_width

Cells = Mapping[str, Piece]


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its key, what makes its cells by the columns' keys, and a sign in its margin.

    `values`: what the cells of sortable columns are sorted by; None comes last.
    """

    key: str
    make_cells: Callable[[], Cells]
    sign: str = " "
    is_gone: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cells(self) -> Cells:
        """The cells, made anew: a list has hundreds of rows of which some thirty are seen."""
        return self.make_cells()


@dataclass(frozen=True, slots=True)
class Order:
    """By the values of a column; `is_reverse`: the highest first."""

    column: str
    is_reverse: bool = False

    def sort(self, rows: Iterable[Row]) -> list[Row]:
        """The rows in this order, those without a value last."""
        known: list[Row] = []
        unknown: list[Row] = []
        for row in rows:
            (unknown if row.values.get(self.column) is None else known).append(row)
        known.sort(key=lambda row: row.values[self.column], reverse=self.is_reverse)
        return [*known, *unknown]


def text_widths(rows: Iterable[Row], keys: Sequence[str]) -> dict[str, int]:
    """How wide the widest text is among the values of these columns, for those that have texts."""
    widths: dict[str, int] = {}
    for row in rows:
        for key in keys:
            text = row.values.get(key, 0)
            if text is None or isinstance(text, str):
                widths[key] = max(shown_width(text), widths.get(key, 0))
    return widths


def frozen_order(before: Sequence[Row], rows: Iterable[Row], marks: set[str]) -> list[Row]:
    """New rows in the order of the old ones; a marked row that has vanished stays as gone."""
    fresh = {row.key: row for row in rows}
    kept: list[Row] = []
    for row in before:
        if row.key in fresh:
            kept.append(fresh.pop(row.key))
        elif row.key in marks:
            kept.append(replace(row, is_gone=True))
    return [*kept, *fresh.values()]
