"""A table whose rows are known by their keys: the cursor follows its row wherever it goes.

While rows are marked the order stands still, and a marked row that has vanished stays, struck out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from delta_cli.dash.glyphs import UNICODE, Glyphs
from delta_cli.dash.tones import Piece, Tone
from delta_cli.dash.widgets.drawn_lines import DrawnLines
from delta_cli.dash.words import fit

_MARGIN: Final = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `drop`: a narrow table does without it, the highest first (0: never).

    `grows`: it takes what width the others leave.
    """

    key: str
    title: str
    width: int
    right: bool = False
    drop: int = 0
    grows: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its key, its cells by the columns' keys, and a sign in its margin.

    `values`: what the cells of sortable columns are sorted by; None comes last.
    """

    key: str
    cells: Mapping[str, Piece]
    sign: str = " "
    is_gone: bool = False
    values: Mapping[str, Any] = field(default_factory=dict, compare=False)


class KeyedTable(DrawnLines):
    """Shows rows; give them again with `set_rows` whenever they have changed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "edge(-1)", "First", show=False),
        Binding("end,G", "edge(1)", "Last", show=False),
        Binding("enter", "open", "open"),
    ]
    HELP = "arrows or j and k move, enter opens, * marks a row, ctrl+a marks all, o sorts"

    header_lines = 1

    class Opened(Message):
        """A row was chosen."""

        def __init__(self, table: "KeyedTable", key: str) -> None:
            super().__init__()
            self.table: KeyedTable = table
            self.key: str = key

        @property
        def control(self) -> "KeyedTable":
            """The table."""
            return self.table

    class Moved(Opened):
        """The cursor is on another row."""

    class Marked(Message):
        """Other rows are marked."""

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        id: str,  # noqa: A002 - Textual's own name for it
        glyphs: Glyphs = UNICODE,
        empty: str = "nothing",
        marks: bool = False,
    ) -> None:
        super().__init__(glyphs=glyphs, id=id)
        self.columns: Sequence[Column] = columns
        self.marks: set[str] = set()
        self.sort: tuple[str, bool] | None = None
        self.cursor_key: str | None = None
        self.empty: str = empty
        self._can_mark: bool = marks
        self._rows: list[Row] = []
        self._index: dict[str, int] = {}

    # Rows

    @property
    def rows(self) -> Sequence[Row]:
        """The rows in the order that is shown."""
        return self._rows

    @property
    def keys(self) -> list[str]:
        """The keys of the rows that are there, in the order that is shown."""
        return [row.key for row in self._rows if not row.is_gone]

    def set_rows(self, rows: Iterable[Row]) -> None:
        """Show these rows; the cursor and the marks stay with theirs."""
        ordered = self._sorted(list(rows))
        if self.marks:
            ordered = self._in_frozen_order(ordered)
        if ordered == self._rows:
            return
        old_index = self._cursor_index
        self._rows = ordered
        self._index = {row.key: index for index, row in enumerate(ordered)}
        if self.cursor_key not in self._index:
            # Its row is gone: on to the one in its place.
            place = min(max(old_index, 0), len(ordered) - 1)
            self._set_cursor(ordered[place].key if ordered else None)
        elif self._cursor_index != old_index:
            self.show_line(self._cursor_index)
        self.set_line_count(len(ordered))
        self.refresh()

    def sort_next(self) -> None:
        """Sort by the next column that can be, or as given after the last."""
        sortable = list(self._rows[0].values) if self._rows else []
        names: list[str | None] = [None, *(one.key for one in self.columns if one.key in sortable)]
        now = None if self.sort is None else self.sort[0]
        chosen = names[(names.index(now) + 1) % len(names)] if now in names else None
        self.sort = None if chosen is None else (chosen, False)
        self.refresh()

    def sort_reverse(self) -> None:
        """Sort the other way round."""
        if self.sort is not None:
            self.sort = (self.sort[0], not self.sort[1])
            self.refresh()

    def _sorted(self, rows: list[Row]) -> list[Row]:
        if self.sort is None:
            return rows
        key, reverse = self.sort
        known = [row for row in rows if row.values.get(key) is not None]
        unknown = [row for row in rows if row.values.get(key) is None]
        return [*sorted(known, key=lambda row: row.values[key], reverse=reverse), *unknown]

    def _in_frozen_order(self, rows: list[Row]) -> list[Row]:
        fresh = {row.key: row for row in rows}
        kept: list[Row] = []
        for row in self._rows:
            if row.key in fresh:
                kept.append(fresh.pop(row.key))
            elif row.key in self.marks:
                kept.append(replace(row, is_gone=True))
        return [*kept, *fresh.values()]

    @property
    def _cursor_index(self) -> int:
        return self._index.get(self.cursor_key or "", -1)

    # The cursor

    def _set_cursor(self, key: str | None) -> None:
        if key == self.cursor_key:
            return
        before, self.cursor_key = self._cursor_index, key
        self.redraw(before)
        self.redraw(self._cursor_index)
        if key is not None:
            self.post_message(self.Moved(self, key))

    def move_to(self, key: str) -> bool:
        """Put the cursor on a row. Returns whether it is there."""
        if key not in self._index:
            return False
        self._set_cursor(key)
        self.show_line(self._cursor_index)
        return True

    def action_move(self, by: int) -> None:
        """Move the cursor by some rows."""
        if self._rows:
            place = min(max(self._cursor_index + by, 0), len(self._rows) - 1)
            self._set_cursor(self._rows[place].key)
            self.show_line(place)

    def action_page(self, by: int) -> None:
        """Move the cursor by as many rows as are seen."""
        self.action_move(by * max(1, self.visible_lines - 1))

    def action_edge(self, by: int) -> None:
        """Move the cursor to the first or the last row."""
        self.action_move(by * len(self._rows))

    def action_open(self) -> None:
        """Open the row under the cursor."""
        if self.cursor_key is not None and self._rows:
            self.post_message(self.Opened(self, self.cursor_key))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor, a double click opens."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        line = self.line_at(offset.y)
        if 0 <= line < len(self._rows):
            self._set_cursor(self._rows[line].key)
            if event.chain > 1:
                self.action_open()

    # Marks

    def mark(self, key: str) -> None:
        """Mark a row, or take its mark back."""
        if self._can_mark:
            self.marks ^= {key}
            self._marked()

    def mark_all(self) -> None:
        """Mark all rows, or take all marks back when all are marked."""
        if self._can_mark:
            keys = set(self.keys)
            self.marks = set() if keys <= self.marks else keys
            self._marked()

    def unmark(self) -> None:
        """Take all marks back; rows that have vanished go."""
        if self.marks:
            self.marks = set()
            self._marked()

    def _marked(self) -> None:
        if not self.marks:
            self.set_rows([row for row in self._rows if not row.is_gone])
        self.refresh()
        self.post_message(self.Marked())

    # Drawing

    def render_line(self, y: int) -> Strip:
        """One line of the widget."""
        columns = self._fitting_columns()
        if y == 0:
            return self.draw(self._header(columns), "line--header")
        index = self.line_at(y)
        if not self._rows and index == 0:
            return self.draw([(" " * _MARGIN + self.empty, Tone.MUTED)])
        if index >= len(self._rows):
            return self.draw([])
        return self._draw_row(self._rows[index], columns)

    def _draw_row(self, row: Row, columns: Sequence[tuple[Column, int]]) -> Strip:
        is_cursor = row.key == self.cursor_key
        is_marked = row.key in self.marks
        under = ["line--marked"] if is_marked else []
        if is_cursor:
            under.append("line--cursor" if self.has_focus else "line--cursor-away")
        mark = self.glyphs.mark if is_marked else row.sign
        pieces: list[Piece] = [
            (self.glyphs.cursor if is_cursor else " ", Tone.PLAIN),
            (mark, Tone.WARN if mark == "!" else Tone.STRONG),
        ]
        for column, width in columns:
            text, tone = row.cells.get(column.key, ("", Tone.PLAIN))
            if row.is_gone:
                tone = Tone.MUTED
                if column.grows:
                    text = f"gone: {text}"
            pieces.append((self._padded(text, column, width) + " ", tone))
        return self.draw(pieces, *under)

    def _header(self, columns: Sequence[tuple[Column, int]]) -> list[Piece]:
        words = " " * _MARGIN
        for column, width in columns:
            title = column.title
            if self.sort is not None and self.sort[0] == column.key:
                title += self.glyphs.down if self.sort[1] else self.glyphs.up
            words += self._padded(title, column, width) + " "
        return [(words, Tone.PLAIN)]

    def _padded(self, text: str, column: Column, width: int) -> str:
        text = fit(text, width, cut=self.glyphs.cut)
        padding = " " * (width - (len(text) if text.isascii() else cell_len(text)))
        return padding + text if column.right else text + padding

    def _fitting_columns(self) -> list[tuple[Column, int]]:
        """The columns for which there is room, with their widths."""
        room = self.size.width - _MARGIN
        shown = list(self.columns)
        while sum(one.width + 1 for one in shown) > room:
            droppable = [one for one in shown if one.drop]
            if not droppable:
                break
            shown.remove(max(droppable, key=lambda one: one.drop))
        spare = max(0, room - sum(one.width + 1 for one in shown))
        growing = [one for one in shown if one.grows]
        return [
            (one, one.width + (spare // len(growing) if one in growing else 0)) for one in shown
        ]
