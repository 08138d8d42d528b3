"""The help: what the focused part does, and all keys as they are set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from delta_cli.dash.filters import HELP
from delta_cli.dash.tones import Piece, Tone, text_of
from delta_cli.dash.words import fit

_COLUMN: Final = 29
_SIGNS: Final = (
    "! look at this   * marked   state~ drifted: desired is not what was synced",
    "LIVE pushed   POLL asked again and again   RECONNECTING no connection",
)


@dataclass(frozen=True, slots=True)
class Key:
    """A key, or some that do the same, and what they do."""

    names: str
    words: str


class HelpScreen(ModalScreen[None]):
    """Closed by any of the keys that one tries first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss", "close")
    ]

    def __init__(self, focused: str | None, keys: Sequence[Key]) -> None:
        super().__init__()
        self._focused: str | None = focused
        self._keys: Sequence[Key] = keys

    def compose(self) -> ComposeResult:
        """One text."""
        with VerticalScroll(id="help"):
            yield Static(id="help-words")

    def on_resize(self) -> None:
        """As many columns as there is room for."""
        width = self.query_one("#help").size.width
        self.query_one("#help-words", Static).update(self._words(max(1, width // _COLUMN)))

    def _words(self, columns: int) -> Text:
        pieces: list[Piece] = []
        if self._focused:
            pieces += [("Here: ", Tone.STRONG), (f"{self._focused}\n\n", Tone.PLAIN)]
        pieces += [("Keys\n", Tone.STRONG), *self._key_lines(columns)]
        pieces += [("\nFilters\n", Tone.STRONG), (f"  {HELP}\n", Tone.PLAIN)]
        pieces += [("\nSigns\n", Tone.STRONG)]
        return text_of([*pieces, *((f"  {words}\n", Tone.PLAIN) for words in _SIGNS)])

    def _key_lines(self, columns: int) -> list[Piece]:
        """The keys, read down each column."""
        height = -(-len(self._keys) // columns)
        pieces: list[Piece] = []
        for line in range(height):
            for key in self._keys[line::height]:
                words = fit(key.words, _COLUMN - 10, cut="~")
                pieces.append((f"  {key.names:<7}", Tone.BUSY))
                pieces.append((words + " " * (_COLUMN - 9 - cell_len(words)), Tone.PLAIN))
            pieces.append(("\n", Tone.PLAIN))
        return pieces
