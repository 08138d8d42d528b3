"""A table whose rows come one by one, fitted to the terminal although nobody knows what is to come.

So columns have their widths beforehand. A longer value takes the room that its row leaves, and is
cut where it leaves none; the text of the last column goes below where it does not fit beside.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import Any, Final

from delta_cli.cli.tables import BETWEEN, NARROWEST, cell, limits_of, room_for
from delta_cli.cli.widths import cut_to_width, terminal_width, width_of, wrap_to_width

#: A column of times that is narrower than these shows the time of day alone, which takes 9.
_WHOLE_TIME: Final = 20
TIME_OF_DAY: Final = 9
#: Lines below their row are set in as the second column is, but not by more of the width than this.
_LARGEST_INDENT: Final = 0.25

Record = Mapping[str, Any]
Widths = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What a narrow terminal does without, `giving_way` in their order.

    A column in `narrowed` gets that width when its turn comes, and is there still.
    """

    giving_way: Sequence[str] = ()
    narrowed: Widths = field(default_factory=dict)


NO_NARROWING: Final = Narrowing()


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns beside each other with their widths; `text` is the one that takes what is left."""

    width: int
    columns: Widths
    text: str | None

    def head(self) -> str:
        """The names of the columns, that of the text where there is room for it."""
        names = {name: name for name in (*self.columns, self.text) if name is not None}
        return self.row(names, {}).split("\n")[0]

    def row(self, record: Record, colours: Mapping[str, str]) -> str:
        """One line or more, none longer than the terminal is wide."""
        pieces = self._beside(record)
        text = "" if self.text is None else cell(record.get(self.text))
        begin = max(self._begins()[-1], _end(pieces) + BETWEEN)
        if self.text is not None and begin + width_of(text) <= self.width:
            return _line([*pieces, _Piece(begin, self.text, text)], colours)
        indent = min(self._begins()[:2][-1], int(self.width * _LARGEST_INDENT))
        below = wrap_to_width(text, self.width - indent).split("\n") if text else []
        beside = [_line(pieces, colours)] if pieces else []
        return "\n".join([*beside, *(" " * indent + part for part in below)])

    def _beside(self, record: Record) -> "list[_Piece]":
        """Each in its column, or as near to it as longer ones before it let it be."""
        texts = [_text(record.get(name), limit) for name, limit in self.columns.items()]
        needs = [
            min(width_of(text), limit)
            for text, limit in zip(texts, self.columns.values(), strict=True)
        ]
        pieces: list[_Piece] = []
        for index, (name, text) in enumerate(zip(self.columns, texts, strict=True)):
            begin = max(self._begins()[index], _end(pieces) + BETWEEN)
            later = sum(need + BETWEEN for need in needs[index + 1 :])
            pieces.append(_Piece(begin, name, cut_to_width(text, self.width - later - begin)))
        return pieces

    def _begins(self) -> list[int]:
        """Where each column begins, and after them the text."""
        return list(accumulate((limit + BETWEEN for limit in self.columns.values()), initial=0))


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one column shows, and where on the line it begins."""

    begin: int
    name: str
    text: str


def layout_for(widths: Widths, narrowing: Narrowing, width: int) -> Layout | None:
    """What a terminal has room for; None where its columns could not be read.

    A last column of no width has text, which takes what is left.
    """
    columns = dict(widths)
    text = next((name for name in list(columns)[-1:] if not columns[name]), None)
    columns.pop(text or "", None)
    for name in narrowing.giving_way:
        if sum(columns.values()) <= room_for(width, len(columns)):
            break
        if name in narrowing.narrowed:
            columns[name] = narrowing.narrowed[name]
        else:
            del columns[name]
    room = room_for(width, len(columns))
    limits = limits_of(list(columns.values()), [width_of(name) for name in columns], room)
    if width < NARROWEST or sum(limits) > room:
        return None
    return Layout(width, dict(zip(columns, limits, strict=True)), text)


class StreamedTable:
    """Rows for stdout as it is at each moment: a terminal of some width, or a pipe or file.

    `colours` are ANSI codes by state. With `header`, the names of the columns come first, and again
    when a terminal that was made wider or narrower gets others.
    """

    def __init__(
        self, widths: Widths, narrowing: Narrowing, *, colours: Mapping[str, str], header: bool
    ) -> None:
        self._widths: Widths = widths
        self._narrowing: Narrowing = narrowing
        self._colours: Mapping[str, str] = colours
        self._header: bool = header
        self._on_terminal: bool = sys.stdout.isatty()
        self._width: int | None = None
        self._layout: Layout | None = None
        self._shown: str = ""

    def head(self) -> str | None:
        """The names of the columns, unless they were shown, or are not to be."""
        width = terminal_width() if self._on_terminal else 0
        if width == self._width:
            return None
        self._width = width
        self._layout = layout_for(self._widths, self._narrowing, width)
        names = {name: name for name in self._widths}
        before, self._shown = self._shown, self._layout.head() if self._layout else self._row(names)
        return self._shown if self._header and self._shown != before else None

    def row(self, record: Record) -> str:
        """The lines of a row, after the head if that has changed."""
        head, row = self.head(), self._row(record)
        return row if head is None else f"{head}\n{row}"

    def _row(self, record: Record) -> str:
        if self._layout is not None:
            return self._layout.row(record, self._colours)
        return _unfitted(self._widths, record, self._colours)


def _unfitted(widths: Widths, record: Record, colours: Mapping[str, str]) -> str:
    """A row as long as it is: nothing is cut for who reads a pipe."""
    pieces: list[_Piece] = []
    begin = 0
    for name, limit in widths.items():
        text = cell(record.get(name))
        pieces.append(_Piece(begin, name, text))
        begin += max(limit, width_of(text)) + BETWEEN
    return _line(pieces, colours)


def _text(value: Any, limit: int) -> str:
    text = cell(value)
    return text[-TIME_OF_DAY:] if isinstance(value, datetime) and limit < _WHOLE_TIME else text


def _end(pieces: Sequence[_Piece]) -> int:
    """Where a line of these ends on the terminal, so that what follows begins `BETWEEN` later."""
    return pieces[-1].begin + width_of(pieces[-1].text) if pieces else -BETWEEN


def _line(pieces: Sequence[_Piece], colours: Mapping[str, str]) -> str:
    line, end = "", 0
    for piece in pieces:
        if piece.text:
            line += " " * (piece.begin - end) + _painted(piece, colours)
            end = piece.begin + width_of(piece.text)
    return line


def _painted(piece: _Piece, colours: Mapping[str, str]) -> str:
    colour = colours.get(piece.text) if piece.name == "state" else None
    return piece.text if colour is None else f"\033[{colour}m{piece.text}\033[0m"
