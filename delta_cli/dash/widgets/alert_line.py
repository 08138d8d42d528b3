"""The line above the keys: what a person should look at, or why nothing is new."""

from rich.text import Text
from textual.widget import Widget

from delta_cli.dash.state import State
from delta_cli.dash.tones import Tone, text_of
from delta_cli.dash.words import age, fit, shown


class AlertLine(Widget):
    """The lost connection first, then alerts; nothing when all is well."""

    def __init__(self, state: State) -> None:
        super().__init__(id="alerts")
        self._state: State = state

    def on_mount(self) -> None:
        """Ages grow."""
        self.set_interval(1.0, self.refresh)

    def render(self) -> Text:
        """The line."""
        words, tone = self._words()
        return text_of([(fit(words, self.size.width, cut=self._state.glyphs.cut), tone)])

    def _words(self) -> tuple[str, Tone]:
        state = self._state
        if state.is_away:
            why = state.connected.why if state.connected else None
            words = f" ! nothing new for {age(state.age_s)}, actions are off, R tries now"
            return f"{words}: {shown(why)}", Tone.BAD
        if state.alerts:
            said = f" {state.glyphs.separator} ".join(shown(alert.text) for alert in state.alerts)
            word = "alert" if len(state.alerts) == 1 else "alerts"
            return f" ! {len(state.alerts)} {word} (a jumps): {said}", Tone.WARN
        if state.snapshot is not None and not state.snapshot.counted:
            return " counting resources for the first time", Tone.MUTED
        return "", Tone.PLAIN
