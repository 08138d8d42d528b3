"""A table whose rows are known by their keys: the cursor follows its row wherever it goes.

While rows are marked the order stands still, and a marked row that has vanished stays, struck out.
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip

from delta_cli.dash.glyphs import UNICODE, Glyphs
from delta_cli.dash.tones import Tone
from delta_cli.dash.widgets.columns import Column, Fitted, fit_columns
from delta_cli.dash.widgets.drawn_lines import DrawnLines
from delta_cli.dash.widgets.moves import MOVES
from delta_cli.dash.widgets.row_pieces import MARGIN, row_pieces, title_pieces
from delta_cli.dash.widgets.rows import Order, Row, frozen_order, text_widths

#: Instead of rows, before any were given.
_UNREAD: Final = "not read yet"


class KeyedTable(DrawnLines):
    """Shows rows; give them again with `set_rows` whenever they have changed."""

    BINDINGS: ClassVar[list[BindingType]] = [*MOVES]
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
        self.order: Order | None = None
        self.cursor_key: str | None = None
        self.empty: str = empty
        self._was_filled: bool = False
        self._can_mark: bool = marks
        self._texts: dict[str, int] = {}
        self._fitted: tuple[int, Fitted] | None = None
        self._rows: list[Row] = []
        self._index: dict[str, int] = {}

    # Rows

    @property
    def rows(self) -> Sequence[Row]:
        """The rows in the order that is shown."""
        return self._rows

    @property
    def row(self) -> Row | None:
        """The row under the cursor."""
        return self._rows[self._cursor_index] if self._cursor_index >= 0 else None

    def row_text(self) -> str:
        """All of the row under the cursor, a line for each cell; nothing when there is none."""
        if self.row is None:
            return ""
        cells = self.row.cells
        told = [(one.title, cells[one.key][0].strip()) for one in self.columns if one.key in cells]
        return "".join(f"{title:<12}{words}\n" for title, words in told)

    @property
    def keys(self) -> list[str]:
        """The keys of the rows that are there, in the order that is shown."""
        return [row.key for row in self._rows if not row.is_gone]

    @property
    def marked_keys(self) -> list[str]:
        """The keys of the marked rows that are there, in the order that is shown."""
        return [key for key in self.keys if key in self.marks]

    def set_rows(self, rows: Iterable[Row]) -> None:
        """Show these rows; the cursor and the marks stay with theirs."""
        self._was_filled = True
        ordered = list(rows) if self.order is None else self.order.sort(rows)
        if self.marks:
            ordered = frozen_order(self._rows, ordered, self.marks)
        old_index = self._cursor_index
        self._rows = ordered
        self._index = {row.key: index for index, row in enumerate(ordered)}
        self._widen(ordered)
        if self.cursor_key not in self._index:
            # Its row is gone: on to the one in its place.
            place = min(max(old_index, 0), len(ordered) - 1)
            self._set_cursor(ordered[place].key if ordered else None)
        elif self._cursor_index != old_index:
            self.show_line(self._cursor_index)
        self.set_line_count(len(ordered))
        self.refresh()

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Show these columns, as wide as the next rows need."""
        self.columns = columns
        self._texts, self._fitted = {}, None

    def _widen(self, rows: Sequence[Row]) -> None:
        """Make room for the texts of these rows; none is taken back, or columns would waver."""
        keys = [one.key for one in self.columns if one.most]
        for key, width in text_widths(rows, keys).items():
            if width > self._texts.get(key, 0):
                self._texts[key], self._fitted = width, None

    @property
    def fitted(self) -> Fitted:
        """The columns for which there is room, with their widths. Each line asks for it."""
        room = self.line_width - MARGIN
        if self._fitted is None or self._fitted[0] != room:
            self._fitted = room, fit_columns(self.columns, room, self._texts)
        return self._fitted[1]

    def sort_next(self) -> None:
        """Sort by the next column that can be, or as given after the last."""
        sortable = list(self._rows[0].values) if self._rows else []
        names: list[str | None] = [None, *(one.key for one in self.columns if one.key in sortable)]
        now = None if self.order is None else self.order.column
        chosen = names[(names.index(now) + 1) % len(names)] if now in names else None
        self.order = None if chosen is None else Order(chosen)
        self.refresh()

    def sort_reverse(self) -> None:
        """Sort the other way round."""
        if self.order is not None:
            self.order = Order(self.order.column, not self.order.is_reverse)
            self.refresh()

    def _sort_by_column_at(self, x: int) -> None:
        """A click on a title sorts by it, the next one the other way round."""
        column = self._column_at(x)
        if column is None:
            return
        if self.order is not None and self.order.column == column.key:
            self.sort_reverse()
        elif self._rows and column.key in self._rows[0].values:
            self.order = Order(column.key)
        self.set_rows(self._rows)

    def _column_at(self, x: int) -> Column | None:
        end = MARGIN
        for column, width in self.fitted:
            end += width + 1
            if x < end:
                return column
        return None

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
        if line < 0:
            self._sort_by_column_at(offset.x)
        elif line < len(self._rows):
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
        columns = self.fitted
        if y == 0:
            return self.draw(title_pieces(columns, self.glyphs, self.order), "line--header")
        index = self.line_at(y)
        if not self._rows and index == 0:
            words = self.empty if self._was_filled else _UNREAD
            return self.draw([(" " * MARGIN + words, Tone.MUTED)])
        if index >= len(self._rows):
            return self.draw([])
        return self._draw_row(self._rows[index], columns)

    def _draw_row(self, row: Row, columns: Fitted) -> Strip:
        is_cursor = row.key == self.cursor_key
        is_marked = row.key in self.marks
        under = ["line--marked"] if is_marked else []
        if is_cursor:
            under.append("line--cursor" if self.has_focus else "line--cursor-away")
        pieces = row_pieces(row, columns, self.glyphs, is_cursor=is_cursor, is_marked=is_marked)
        return self.draw(pieces, *under)
