"""Lays out all data for stdout, as tables, JSON, JSON lines, CSV or Markdown.

Commands hand over records: dictionaries of a documented shape (`records.py`). JSON keeps every
value as it is; in the other formats text from outside is made harmless first.
"""

import contextlib
import csv
import io
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self, TypeAlias

from delta_cli.cli.frame import ENTER, LEAVE, SNAPSHOT_AT, Frame, Stale, screenful_of_nothing
from delta_cli.cli.indented_json import indented_json
from delta_cli.cli.stdout import has_room, write, write_on
from delta_cli.cli.streamed_table import NO_NARROWING, Narrowing, StreamedTable
from delta_cli.cli.tables import NO_TABLE_NARROWING, TableNarrowing, cell, draw
from delta_cli.cli.talk import note, stderr_is_terminal, warn
from delta_cli.cli.text import escape_json, harmless
from delta_cli.cli.view import ALL, View
from delta_cli.engine.errors import ConfigError

Record: TypeAlias = Mapping[str, Any]

#: The version of the shapes of JSON: it grows when a name changes its meaning or goes away.
SHAPE_VERSION: Final = 1

_view: View = ALL
_frame: Frame | None = None


class Format(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    MARKDOWN = "markdown"

    @property
    def is_for_people(self) -> bool:
        """Whether it is a table to read; the others are for programs."""
        return self in (Format.TABLE, Format.MARKDOWN)


def write_list(
    records: Iterable[Record],
    form: Format,
    *,
    columns: Sequence[str],
    table: Sequence[str] = (),
    idle: Sequence[str] = (),
    droppable: Sequence[str] = (),
    elastic: Sequence[str] = (),
    wrapped: Sequence[str] = (),
    is_sorted: bool = False,
) -> None:
    """Print a list. `columns` are all of a record's names, `table` those that a table shows.

    `idle` and `droppable`: those of the table that a narrow terminal does without, the first first,
    the idle ones before all others where they say nothing but no, zero or nothing at all;
    `elastic`: those whose text is cut there before others go; `wrapped`: those whose text is not
    cut, but takes more lines. The person's own choice of columns and order comes from `use_view`;
    `is_sorted`: the records come in that order already.
    """
    view = _view
    view.check(columns)
    records = _kept(records if is_sorted else view.ordered(records))
    match form:
        case Format.JSON:
            _line(_indented_json([view.chosen(record) for record in records]))
        case Format.JSONL:
            for record in _dated(view.chosen(record) for record in records):
                _line(_json(record))
        case Format.CSV:
            _write_csv(records, view.columns or columns, header=view.header)
        case Format.TABLE | Format.MARKDOWN:
            text = draw(
                list(view.columns or table or columns),
                list(records),
                markdown=form is Format.MARKDOWN,
                narrowing=NO_TABLE_NARROWING
                if view.columns
                else TableNarrowing(idle, droppable, elastic),
                wrapped=wrapped,
                header=view.header,
            )
            _line(text)


def use_view(view: View) -> None:
    """Show lists so from now on."""
    global _view  # noqa: PLW0603 - there is one stdout
    _view = view


def current_view() -> View:
    """How lists are shown, for who can read what they show in that order."""
    return _view


def _kept(records: Iterable[Record]) -> Iterable[Record]:
    """The same records; a look that is watched takes note of them."""
    if _frame is None:
        return records
    records = list(records)
    for record in records:
        _frame.see(record)
    return records


def _dated(records: Iterable[Record]) -> Iterable[Record]:
    """The records of a look with its time; the time alone, where there are none."""
    if _frame is None:
        return records
    at = {SNAPSHOT_AT: _frame.at}
    return [at | dict(record) for record in records] or [at]


def _write_csv(records: Iterable[Record], columns: Sequence[str], *, header: bool) -> None:
    if header:
        _line(_csv_line(columns))
    for record in records:
        _line(_csv_line(_csv_cells(record, columns)))


def write_object(record: Record, form: Format) -> None:
    """Print one object: in a table, a name and a value a line."""
    _kept([record])
    match form:
        case Format.JSON:
            _line(_indented_json(record))
        case Format.JSONL:
            _line(_json(record))
        case Format.CSV:
            _line(_csv_line(list(record)))
            _line(_csv_line(_csv_cells(record, list(record))))
        case Format.TABLE | Format.MARKDOWN:
            rows = [{"field": name, "value": value} for name, value in record.items()]
            is_markdown = form is Format.MARKDOWN
            _line(draw(["field", "value"], rows, markdown=is_markdown, wrapped=("value",)))


def write_text(text: str) -> None:
    """Print text of our own, as it is."""
    _line(text)


def remark(text: str, *, lasting: str | None = None) -> None:
    """Tell a person something beside the data: on stderr, or below what is watched.

    `lasting`: what of it does not change with time alone, if not all of it.
    """
    if _frame is None:
        note(text)
    else:
        _frame.remark(text, text if lasting is None else lasting)


@contextlib.contextmanager
def looking(at: datetime) -> Generator[Frame]:
    """Keep what is printed within, instead of printing it."""
    global _frame  # noqa: PLW0603 - there is one stdout
    frame = _frame = Frame(at)
    try:
        yield frame
    finally:
        _frame = None


class Screen:
    """A terminal on which each look takes the place of the one before."""

    def __init__(self) -> None:
        self._last: Frame | None = None
        self._why_stale: str | None = None

    def __enter__(self) -> Self:
        write(ENTER)
        return self

    def __exit__(self, *_exc_info: object) -> None:
        """Leave the last look where the person goes on typing, and why there is no newer one."""
        write_on()
        write(LEAVE if self._last is None else f"{LEAVE}{self._last.text()}\n")
        if self._why_stale is not None:
            warn(self._why_stale)

    def show(self, frame: Frame) -> None:
        """Draw it."""
        self._last, self._why_stale = frame, None
        self._draw(frame, None)

    def tell_stale(self, stale: Stale) -> None:
        """Say above the last look how old it is and why; on stderr too, if that is elsewhere."""
        from delta_cli.engine.dsn import mask_secrets

        stale = replace(stale, why=harmless(mask_secrets(stale.why)))
        if self._why_stale is None and not stderr_is_terminal():
            warn(stale.why)
        self._why_stale = stale.why
        if self._last is not None:
            self._draw(self._last, stale)
        else:
            size = shutil.get_terminal_size()
            write(screenful_of_nothing(size.columns, size.lines, stale))

    def _draw(self, frame: Frame, stale: Stale | None) -> None:
        size = shutil.get_terminal_size()
        write(frame.screenful(size.columns, size.lines, stale))


class Paper:
    """A pipe or file, to which each look is added that differs from the one before.

    What a person is told beside it is told again only once it has changed.
    """

    def __init__(self) -> None:
        self._last: Frame | None = None
        self._is_stale: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        return

    def show(self, frame: Frame) -> None:
        """Add it, if it is new."""
        self._is_stale = False
        if not frame.is_same_as(self._last):
            for line in frame.lines:
                _line(line)
            told = () if self._last is None else self._last.lasting
            for text, lasting in zip(frame.remarks, frame.lasting, strict=True):
                if lasting not in told:
                    note(text)
        self._last = frame

    def tell_stale(self, stale: Stale) -> None:
        """Warn once that nothing new comes, and why."""
        if not self._is_stale:
            warn(stale.why)
        self._is_stale = True


def watched(form: Format) -> Screen | Paper:
    """What shows one look after the other. JSON lines are for programs, wherever they go."""
    redraws = form is not Format.JSONL and os.environ.get("TERM") != "dumb"
    return Screen() if redraws and sys.stdout.isatty() else Paper()


def check_streamed(columns: Sequence[str]) -> None:
    """Raise ConfigError for a view that records which come one by one cannot have."""
    if _view.sort is not None:
        raise ConfigError(
            "--sort: what comes one by one has the order in which it comes",
            hint="sort it when it has ended, as with: jq -s 'sort_by(.kind)'",
        )
    _view.check(columns)


class Stream:
    """Prints records one by one, each at once. `table` has the widths of its columns.

    `narrowing`: what a narrow terminal does without, unless the person chose the columns.
    `colours` are ANSI codes by state, for tables on a terminal.
    """

    def __init__(
        self,
        form: Format,
        columns: Sequence[str],
        table: Mapping[str, int],
        *,
        narrowing: Narrowing = NO_NARROWING,
        colours: Mapping[str, str] | None = None,
    ) -> None:
        self._form: Format = form
        self._view: View = _view
        self._columns: list[str] = list(_view.columns or columns)
        if _view.columns:
            table = {name: table.get(name, len(name)) for name in _view.columns}
            narrowing = NO_NARROWING
        self._markdown: list[str] = list(table)
        shown = colours if colours and may_colour() else {}
        self._table: StreamedTable = StreamedTable(
            table, narrowing, colours=shown, header=_view.header
        )
        self._array: list[Record] = []
        if _view.header or form is Format.MARKDOWN:
            self._begin()

    def _begin(self) -> None:
        match self._form:
            case Format.CSV:
                _line(_csv_line(self._columns))
            case Format.TABLE:
                _line(self._table.head() or "")
            case Format.MARKDOWN:
                _line("| " + " | ".join(self._markdown) + " |")
                _line("|" + "---|" * len(self._markdown))
            case Format.JSON | Format.JSONL:
                return

    def write(self, record: Record) -> None:
        """Print one record; JSON is printed at the end, as one array."""
        record = self._view.chosen(record)
        match self._form:
            case Format.JSON:
                self._array.append(record)
            case Format.JSONL:
                _line(_json(record))
            case Format.CSV:
                _line(_csv_line(_csv_cells(record, self._columns)))
            case Format.TABLE:
                _line(self._table.row(record))
            case Format.MARKDOWN:
                cells = [cell(record.get(name), markdown=True) for name in self._markdown]
                _line("| " + " | ".join(cells) + " |")

    def close(self) -> None:
        """Print what could not be printed before."""
        if self._form is Format.JSON:
            _line(_indented_json(self._array))


def may_colour() -> bool:
    """Whether stdout is a terminal that takes colours."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


async def until_room() -> None:
    """Until the reader has taken so much that more can be printed; the event loop runs on."""
    if has_room():
        return
    import asyncio

    loop, taken = asyncio.get_running_loop(), asyncio.Event()
    descriptor = sys.stdout.fileno()
    loop.add_writer(descriptor, taken.set)
    try:
        await taken.wait()
    finally:
        loop.remove_writer(descriptor)


def when_closed(
    add_reader: Callable[[int, Callable[[], None]], None], end: Callable[[], None]
) -> None:
    """Call `end` when the reader of our pipe goes away, also while there is nothing to print."""
    with contextlib.suppress(OSError, ValueError, NotImplementedError):
        descriptor = sys.stdout.fileno()
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            add_reader(descriptor, end)


def to_json(value: Any) -> Any:
    """What `json` does not know: times as RFC 3339 in UTC, bytes as hexadecimal."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


#: It is kept: `json.dumps` would make one for each line of a stream.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, default=to_json)


def _json(value: Any) -> str:
    """In one line."""
    return escape_json(_ENCODER.encode(value))


def _indented_json(value: Any) -> str:
    return escape_json(indented_json(value, to_json))


def _csv_cells(record: Record, columns: Sequence[str]) -> list[str]:
    return [_csv_cell(record.get(name)) for name in columns]


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    return harmless(value) if isinstance(value, str) else _plain(value)


def _plain(value: Any) -> str:
    text = to_json(value) if isinstance(value, (datetime, bytes)) else _json(value)
    return text if isinstance(text, str) else str(text)


def _csv_line(cells: Iterable[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    return buffer.getvalue()


def _line(text: str) -> None:
    if _frame is None:
        write(f"{text}\n")
    else:
        _frame.lines.append(text)
