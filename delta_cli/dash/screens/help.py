"""The help: what the focused part does, and all keys as they are set."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from delta_cli.dash.filters import HELP
from delta_cli.dash.tones import Piece, Tone, text_of


class HelpScreen(ModalScreen[None]):
    """Closed by any of the keys that one tries first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss", "close")
    ]

    def __init__(self, focused: str | None, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._focused: str | None = focused
        self._keys: Sequence[tuple[str, str]] = keys

    def compose(self) -> ComposeResult:
        """One text."""
        with VerticalScroll(id="help"):
            yield Static(self._words())

    def _words(self) -> Text:
        pieces: list[Piece] = []
        if self._focused:
            pieces += [("Here: ", Tone.STRONG), (f"{self._focused}\n\n", Tone.PLAIN)]
        pieces.append(("Keys\n", Tone.STRONG))
        for key, words in self._keys:
            pieces += [(f"  {key:<12}", Tone.BUSY), (f"{words}\n", Tone.PLAIN)]
        pieces += [("\nFilters\n", Tone.STRONG), (f"  {HELP}\n", Tone.PLAIN)]
        pieces += [("\nSigns\n", Tone.STRONG)]
        pieces += [
            (
                "  ! look at this   * marked   state~ drifted: desired is not what was synced\n",
                Tone.PLAIN,
            )
        ]
        pieces += [
            ("  LIVE pushed   POLL asked every second   RECONNECTING no connection\n", Tone.PLAIN)
        ]
        return text_of(pieces)
