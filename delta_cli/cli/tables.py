"""Tables for people: cells made harmless, columns dropped, wrapped and cut to fit."""

import json
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from delta_cli.cli.text import cut, harmless, show_edges
from delta_cli.cli.widths import cut_to_width, terminal_width, width_of, wrap_to_width

#: Longer cells are cut; `-o json` has everything.
LONGEST_CELL: Final = 254
#: A terminal narrower than this gets long lines rather than useless columns.
NARROWEST: Final = 40
_NARROWEST_COLUMN: Final = 6
#: Of a text that is cut anyway, so much is worth another column.
_ELASTIC: Final = 24
#: Text in lines shorter than this is easier to read below than beside others.
_NARROWEST_TEXT: Final = 16
BETWEEN: Final = 2
_MARKDOWN_SPECIAL: Final = re.compile(r"[\\`*_{}\[\]<>|~]")


@dataclass(frozen=True, slots=True)
class TableNarrowing:
    """What of a table gives way on a narrow terminal, the first first.

    `idle` columns go before all others where none of their values says more than no or zero, then
    those `droppable`, until the rest fits with the `elastic` ones cut.
    """

    idle: Sequence[str] = ()
    droppable: Sequence[str] = ()
    elastic: Sequence[str] = ()

    def order(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """The columns that may go from a table of these rows."""
        silent = [name for name in self.idle if not any(row.get(name) for row in rows)]
        return [*silent, *(name for name in self.droppable if name not in silent)]


NO_TABLE_NARROWING: Final = TableNarrowing()


def draw(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    *,
    markdown: bool,
    narrowing: TableNarrowing = NO_TABLE_NARROWING,
    wrapped: Sequence[str] = (),
    header: bool = True,
) -> str:
    """A table of the named columns. A narrow terminal loses some, by `narrowing`.

    There, cells of the columns `wrapped` take more lines, and others are cut, but for times, which
    would be other times; where not even that is enough, each row is a block of lines. Markdown has
    no table without a header.
    """
    cells = _cells(columns, rows, markdown=markdown)
    if not markdown and sys.stdout.isatty() and terminal_width() >= NARROWEST:
        going = narrowing.order(rows)
        columns, cells = dropped(columns, cells, terminal_width(), going, narrowing.elastic)
        whole = [
            name for name in columns if any(isinstance(row.get(name), datetime) for row in rows)
        ]
        table = fit(columns, cells, terminal_width(), wrapped, whole)
        if table is None and cells:
            return _blocks(columns, cells, terminal_width())
        columns, cells = table or (columns, cells)
    return _drawn(
        cells,
        list(columns) if header or markdown else [],
        style="pipe" if markdown else "simple" if header else "plain",
    )


def _drawn(cells: list[list[str]], headers: list[str], *, style: str) -> str:
    import tabulate

    # Its two more spaces beside each head are what a narrow terminal has not.
    tabulate.MIN_PADDING = 0
    return tabulate.tabulate(
        cells,
        headers=headers,
        tablefmt=style,
        # Ids such as 1e5 are text.
        disable_numparse=True,
        preserve_whitespace=False,
    )


def _blocks(columns: Sequence[str], cells: list[list[str]], width: int) -> str:
    """A line or more for each value, and an empty line between rows."""
    room = width - max(map(width_of, columns)) - BETWEEN
    blocks = [
        [[name, wrap_to_width(text, room)] for name, text in zip(columns, row, strict=True)]
        for row in cells
    ]
    return "\n\n".join(_drawn(block, [], style="plain") for block in blocks)


def _cells(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]], *, markdown: bool
) -> list[list[str]]:
    return [[cell(row.get(name), markdown=markdown) for name in columns] for row in rows]


def cell(value: Any, *, markdown: bool = False) -> str:
    """A value as one line of text that is safe to show."""
    text = cut(show_edges(harmless(_text(value))), LONGEST_CELL)
    return _MARKDOWN_SPECIAL.sub(r"\\\g<0>", text) if markdown else text


def sentence(text: str, *, markdown: bool) -> str:
    """Text beside a table, safe to show. On a terminal it takes more lines instead of being cut."""
    shown = cell(text, markdown=markdown)
    return wrap_to_width(shown, terminal_width()) if sys.stdout.isatty() else shown


def dropped(
    columns: Sequence[str],
    cells: list[list[str]],
    width: int,
    droppable: Sequence[str],
    elastic: Sequence[str] = (),
) -> tuple[Sequence[str], list[list[str]]]:
    """The table without those of its columns that it must drop to fit, the first first.

    Uncut, but for the `elastic` ones.
    """
    kept = list(range(len(columns)))
    widths = [
        min(width, _ELASTIC) if name in elastic else width
        for name, width in zip(columns, _widths(columns, cells), strict=True)
    ]
    for name in droppable:
        if sum(widths[index] for index in kept) > room_for(width, len(kept)):
            kept.remove(list(columns).index(name))
    return [columns[index] for index in kept], [[row[index] for index in kept] for row in cells]


def fit(
    columns: Sequence[str],
    cells: list[list[str]],
    width: int,
    wrapped: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> tuple[Sequence[str], list[list[str]]] | None:
    """Wrap and cut columns until the table fits the terminal, but not those `whole`.

    None: it cannot be read then.
    """
    widths = _widths(columns, cells)
    room = room_for(width, len(columns))
    fixed = {index for index, name in enumerate(columns) if name in whole}
    limits = limits_of(widths, [width_of(name) for name in columns], room, fixed)
    texts = [index for index, name in enumerate(columns) if name in wrapped]
    if sum(limits) > room or any(
        limits[index] < min(_NARROWEST_TEXT, widths[index]) for index in texts
    ):
        return None
    heads = [cut_to_width(name, limit) for name, limit in zip(columns, limits, strict=True)]
    fitted = [wrap_to_width if name in wrapped else cut_to_width for name in columns]
    return heads, [
        [fitting(text, limit) for fitting, text, limit in zip(fitted, row, limits, strict=True)]
        for row in cells
    ]


def _widths(columns: Sequence[str], cells: list[list[str]]) -> list[int]:
    return [max(map(width_of, column)) for column in zip(columns, *cells, strict=True)]


def room_for(width: int, columns: int) -> int:
    """What a terminal leaves for the text of so many columns."""
    return width - BETWEEN * (columns - 1)


def limits_of(
    widths: list[int], heads: list[int], room: int, fixed: Collection[int] = ()
) -> list[int]:
    """The widths that columns get: the widest gives way first, those `fixed` never.

    Heads are cut last.
    """
    limits = list(widths)
    for least in (
        [max(head, _NARROWEST_COLUMN) for head in heads],
        [_NARROWEST_COLUMN] * len(heads),
    ):
        while sum(limits) > room:
            spare = [
                0 if index in fixed else limit - one
                for index, (limit, one) in enumerate(zip(limits, least, strict=True))
            ]
            widest = max(range(len(limits)), key=lambda index: limits[index] * (spare[index] > 0))
            if spare[widest] <= 0:
                break
            limits[widest] -= 1
    return limits


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.3f}".rstrip("0").rstrip(".")
        case _:
            return _text_of_others(value)


def _text_of_others(value: Any) -> str:
    match value:
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        case bytes():
            return value.hex()
        case list() | tuple() if all(isinstance(part, str) for part in value):
            return ", ".join(value)
        case list() | tuple() | dict():
            return json.dumps(value, ensure_ascii=False, default=_text)
        case _:
            return str(value)
