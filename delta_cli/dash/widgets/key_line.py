"""The last line: the keys that do something here, as many as fit; those for help always do."""

from typing import Final

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.binding import ActiveBinding
from textual.screen import Screen
from textual.widget import Widget

from delta_cli.dash.keys import KEY_NAMES
from delta_cli.dash.tones import Piece, Tone, text_of

#: Shown at the end however narrow the terminal is.
_ALWAYS: Final = ("help", "quit")
_PLACES: Final = {name: place for place, name in enumerate(KEY_NAMES)}


class KeyLine(Widget):
    """Drawn again whenever other keys do something; a click on one presses it."""

    def __init__(self) -> None:
        super().__init__(id="keys")
        self._places: list[tuple[int, ActiveBinding]] = []  # where the words of a key end

    def on_mount(self) -> None:
        """Other keys: other words."""
        self.screen.bindings_updated_signal.subscribe(self, self._renew)

    def _renew(self, _: Screen[object]) -> None:
        self.refresh()

    def render(self) -> Text:
        """The line."""
        active = self._active()
        last = [one for one in active if one.binding.id in _ALWAYS]
        room = self.size.width - sum(cell_len(self._words(one)) for one in last)
        chosen: list[ActiveBinding] = []
        for one in active:
            if one in last:
                continue
            room -= cell_len(self._words(one))
            if room < 0:
                break
            chosen.append(one)
        return self._drawn([*chosen, *last])

    def _active(self) -> list[ActiveBinding]:
        """What is to be shown, each action once, the focused part's own first."""
        found: dict[str, ActiveBinding] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.show and active.binding.description:
                found.setdefault(active.binding.action, active)
        # Not in the order of the bindings: a key that was set anew is the last of them.
        return sorted(found.values(), key=lambda one: _PLACES.get(one.binding.id or "", -1))

    def _key(self, active: ActiveBinding) -> str:
        return f" {self.app.get_key_display(active.binding)} "

    def _words(self, active: ActiveBinding) -> str:
        return self._key(active) + active.binding.description

    def _drawn(self, chosen: list[ActiveBinding]) -> Text:
        pieces: list[Piece] = []
        self._places, end = [], 0
        for active in chosen:
            pieces.append((self._key(active), Tone.BUSY if active.enabled else Tone.MUTED))
            tone = Tone.PLAIN if active.enabled else Tone.MUTED
            pieces.append((active.binding.description, tone))
            end += cell_len(self._words(active))
            self._places.append((end, active))
        return text_of(pieces)

    async def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked."""
        for end, active in self._places:
            if event.x < end:
                await self.app.run_action(active.binding.action, active.node)
                return
