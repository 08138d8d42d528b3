"""A row and the titles of a table as pieces of one line. No I/O."""

from typing import Final

from rich.cells import cell_len

from delta_cli.dash.glyphs import Glyphs
from delta_cli.dash.tones import Piece, Tone
from delta_cli.dash.widgets.columns import Column, Fitted
from delta_cli.dash.widgets.rows import Order, Row
from delta_cli.dash.words import fit, fit_ends

#: Columns before the first: the cursor, and a sign.
MARGIN: Final = 2


def row_pieces(
    row: Row, columns: Fitted, glyphs: Glyphs, *, is_cursor: bool, is_marked: bool
) -> list[Piece]:
    """The cursor, a sign, and the cells; a row that has vanished says so."""
    sign = glyphs.mark if is_marked else row.sign
    pieces: list[Piece] = [
        (glyphs.cursor if is_cursor else " ", Tone.PLAIN),
        (sign, Tone.WARN if sign == "!" else Tone.STRONG),
    ]
    cells = row.cells
    for place, (column, width) in enumerate(columns):
        text, tone = cells.get(column.key, ("", Tone.PLAIN))
        if row.is_gone:
            text, tone = text if place else "gone", Tone.MUTED
        pieces.append((_padded(text, column, width, glyphs) + " ", tone))
    return pieces


def title_pieces(columns: Fitted, glyphs: Glyphs, order: Order | None) -> list[Piece]:
    """The titles, with an arrow at the one that the rows are sorted by."""
    words = " " * MARGIN
    for column, width in columns:
        title = column.title
        if order is not None and order.column == column.key:
            title += glyphs.down if order.is_reverse else glyphs.up
        words += _padded(title, column, width, glyphs) + " "
    return [(words, Tone.PLAIN)]


def _padded(text: str, column: Column, width: int, glyphs: Glyphs) -> str:
    text = (fit_ends if column.ends else fit)(text, width, cut=glyphs.cut)
    padding = " " * (width - (len(text) if text.isascii() else cell_len(text)))
    return padding + text if column.right else text + padding
