"""Tables for people: cells made harmless, cut to fit, wide characters counted as wide."""

import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from delta_cli.cli.text import CUT, cut, harmless

#: Longer cells are cut; `-o json` has everything.
LONGEST_CELL: Final = 254
#: A terminal narrower than this gets long lines rather than useless columns.
_NARROWEST: Final = 40
_NARROWEST_COLUMN: Final = 6
_BETWEEN: Final = 2
_MARKDOWN_SPECIAL: Final = re.compile(r"[\\`*_{}\[\]<>|~]")


def draw(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    *,
    markdown: bool,
    droppable: Sequence[str] = (),
    header: bool = True,
) -> str:
    """A table of the named columns. A narrow terminal loses those `droppable`, the first first.

    Markdown has no table without a header.
    """
    import tabulate

    if not markdown and sys.stdout.isatty():
        columns, cells = fit(columns, _cells(columns, rows), terminal_width(), droppable)
    else:
        cells = _cells(columns, rows, markdown=markdown)
    # Its two more spaces beside each head are what a narrow terminal has not.
    tabulate.MIN_PADDING = 0
    return tabulate.tabulate(
        cells,
        headers=list(columns) if header or markdown else (),
        tablefmt="pipe" if markdown else "simple" if header else "plain",
        # Ids such as 1e5 are text.
        disable_numparse=True,
        preserve_whitespace=False,
    )


def terminal_width() -> int:
    """The columns of the terminal."""
    return shutil.get_terminal_size().columns


def _cells(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]], *, markdown: bool = False
) -> list[list[str]]:
    return [[cell(row.get(name), markdown=markdown) for name in columns] for row in rows]


def cell(value: Any, *, markdown: bool = False) -> str:
    """A value as one line of text that is safe to show."""
    text = cut(harmless(_text(value)), LONGEST_CELL)
    return _MARKDOWN_SPECIAL.sub(r"\\\g<0>", text) if markdown else text


def fit(
    columns: Sequence[str], cells: list[list[str]], width: int, droppable: Sequence[str] = ()
) -> tuple[Sequence[str], list[list[str]]]:
    """Drop and cut columns until the table fits the terminal."""
    if width < _NARROWEST or not cells:
        return columns, cells
    kept = list(range(len(columns)))
    widths = [max(map(width_of, column)) for column in zip(columns, *cells, strict=True)]
    for name in droppable:
        if sum(widths[index] for index in kept) > width - _BETWEEN * (len(kept) - 1):
            kept.remove(list(columns).index(name))
    columns = [columns[index] for index in kept]
    limits = _limits(
        [widths[index] for index in kept],
        [width_of(name) for name in columns],
        width - _BETWEEN * (len(kept) - 1),
    )
    return columns, [
        [cut_to_width(row[index], limit) for index, limit in zip(kept, limits, strict=True)]
        for row in cells
    ]


def _limits(widths: list[int], heads: list[int], room: int) -> list[int]:
    limits = list(widths)
    while sum(limits) > room:
        spare = [
            limit - max(head, _NARROWEST_COLUMN) for limit, head in zip(limits, heads, strict=True)
        ]
        widest = max(range(len(limits)), key=lambda index: limits[index] * (spare[index] > 0))
        if spare[widest] <= 0:
            break
        limits[widest] -= 1
    return limits


def width_of(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth

    width = wcswidth(text)
    return width if width >= 0 else len(text)


def cut_to_width(text: str, width: int) -> str:
    """At most `width` columns of a terminal."""
    if width_of(text) <= width:
        return text
    while text and width_of(text) > width - 1:
        text = text[:-1]
    return text + CUT


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
