"""The keys that move the cursor in tables and logs."""

from typing import Final

from textual.binding import Binding

MOVES: Final = (
    Binding("up,k", "move(-1)", "up", show=False),
    Binding("down,j", "move(1)", "down", show=False),
    Binding("pageup", "page(-1)", "a page up", show=False),
    Binding("pagedown", "page(1)", "a page down", show=False),
    Binding("home,g", "edge(-1)", "first", show=False),
    Binding("end,G", "edge(1)", "last", show=False),
    Binding("enter", "open", "open"),
)
