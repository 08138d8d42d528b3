"""A text over the whole screen: an error with its trace, or whatever is too long for its place."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from delta_cli.dash.pager import show_in_pager


class ReaderScreen(ModalScreen[None]):
    """Shows a harmless text to its end. `w` breaks long lines or lets them run on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "close"),
        Binding("w", "wrap", "wrap"),
        Binding("v", "pager", "pager"),
        Binding("y", "copy", "copy"),
        Binding("down,j", "scroll('down')", show=False),
        Binding("up,k", "scroll('up')", show=False),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title: str = title
        self._text: str = text

    def compose(self) -> ComposeResult:
        """A frame that scrolls, and what the keys do."""
        with Vertical(id="reader"), VerticalScroll(id="reader-scroll"):
            yield Static(Text(self._text), id="reader-text")

    def on_mount(self) -> None:
        """Say what it is."""
        frame = self.query_one("#reader")
        frame.border_title = Content(self._title)
        frame.border_subtitle = "w wrap  v pager  y copy  esc close"

    def action_wrap(self) -> None:
        """Break long lines, or let them run on to the right."""
        self.query_one("#reader-scroll").toggle_class("-unwrapped")

    def action_pager(self) -> None:
        """Show it in the pager."""
        show_in_pager(self.app, self._text)

    def action_copy(self) -> None:
        """Copy it."""
        self.app.copy_to_clipboard(self._text)
        self.app.notify("text copied, if the terminal allows it", timeout=2)

    def action_scroll(self, where: str) -> None:
        """A line on, or back."""
        scroll = self.query_one("#reader-scroll", VerticalScroll)
        scroll.scroll_relative(y=1 if where == "down" else -1, animate=False)
