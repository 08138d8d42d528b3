"""The second line: the tabs by their numbers, and where one is within the tab."""

from typing import Final

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from delta_cli.dash.sizes import WIDE
from delta_cli.dash.tones import Piece, Tone, text_of
from delta_cli.dash.words import fit, shown

#: The titles by the tabs' names: in full, and short for a narrow terminal.
TABS: Final = {
    "overview": ("Overview", "Over"),
    "resources": ("Resources", "Res"),
    "events": ("Events", "Ev"),
    "workers": ("Workers", "Wrk"),
    "ticks": ("Ticks", "Tick"),
    "controllers": ("Controllers", "Ctl"),
}

#: Those whose lines a filter can choose.
_FILTERED: Final = ("resources", "events")
_KEYS: Final = ": palette  ? help"


class TabBar(Widget):
    """Says which tab is shown; a click asks for another."""

    active: reactive[str] = reactive("overview")
    crumbs: reactive[tuple[str, ...]] = reactive(())

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, tab: str) -> None:
            super().__init__()
            self.tab: str = tab

    def render(self) -> Text:
        """The line."""
        pieces: list[Piece] = [(" ", Tone.PLAIN)]
        for tab, words in self._titles():
            tone = Tone.STRONG if tab == self.active else Tone.MUTED
            pieces.append((words, tone))
        taken = sum(cell_len(words) for words, _ in pieces)
        way = " > ".join(shown(crumb) for crumb in self.crumbs)
        keys = f"/ filter  {_KEYS}" if self.active in _FILTERED else _KEYS
        right = fit(way or keys, self.size.width - taken - 2, cut="~")
        spare = self.size.width - taken - cell_len(right) - 1
        return text_of([*pieces, (" " * max(0, spare), Tone.PLAIN), (right, Tone.MUTED)])

    def _titles(self) -> list[tuple[str, str]]:
        is_wide = self.size.width >= WIDE
        titles: list[tuple[str, str]] = []
        for number, (tab, (long, short)) in enumerate(TABS.items(), start=1):
            words = f"{number} {long if is_wide else short}"
            titles.append((tab, f"[{words}] " if tab == self.active else f" {words}  "))
        return titles

    def on_click(self, event: events.Click) -> None:
        """A click on a title asks for its tab."""
        end = 1
        for tab, words in self._titles():
            end += len(words)
            if event.x < end:
                self.post_message(self.Chosen(tab))
                return
