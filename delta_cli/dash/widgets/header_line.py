"""The first line: which database, what may be done, how the data comes and how old it is."""

from rich.cells import cell_len
from rich.text import Text
from textual.widget import Widget

from delta_cli.dash.messages import Mode
from delta_cli.dash.sizes import WIDE
from delta_cli.dash.state import State
from delta_cli.dash.tones import Piece, Tone, text_of
from delta_cli.dash.words import age, clock, fit, shown


class HeaderLine(Widget):
    """Drawn again each second, since it tells ages."""

    def __init__(self, state: State) -> None:
        super().__init__(id="header")
        self._state: State = state
        self.frozen: int | None = None
        self.refresh_s: float = 1.0

    def on_mount(self) -> None:
        """Ages grow."""
        self.set_interval(1.0, self.refresh)

    def render(self) -> Text:
        """The line."""
        width, state = self.size.width, self._state
        right = self._connection(is_wide=width >= WIDE)
        taken = sum(cell_len(words) for words, _ in right)
        name = f" {state.glyphs.delta} delta  " if width >= WIDE else f" {state.glyphs.delta} "
        rights = "[RO]" if state.read_only else "[RW]"
        room = width - taken - len(name) - len(rights) - 3
        where = fit(shown(state.where), max(4, room), cut=state.glyphs.cut)
        left: list[Piece] = [(name, Tone.STRONG), (where, Tone.PLAIN), (f" {rights}", Tone.MUTED)]
        spare = width - taken - sum(cell_len(words) for words, _ in left)
        return text_of([*left, (" " * max(1, spare), Tone.PLAIN), *right])

    def _connection(self, *, is_wide: bool) -> list[Piece]:
        state = self._state
        pieces = [*self._frozen(), *_mode(state)]
        now = state.now
        if now is not None and not state.is_away:
            pieces.append((f"{state.trends.rate(now):.0f}ev/s ", Tone.PLAIN))
            if is_wide:
                lag = state.connected.lag_ms if state.connected else None
                told = "" if lag is None else f" lag {lag:.0f}ms"
                pieces.append((f" every {age(self.refresh_s)}{told}  ", Tone.MUTED))
        return [*pieces, (f"{clock(now)}Z " if now is not None else "", Tone.PLAIN)]

    def _frozen(self) -> list[Piece]:
        if self.frozen is None:
            return []
        return [(f" FROZEN +{self.frozen:,} ", Tone.WARN), (" ", Tone.PLAIN)]


def _mode(state: State) -> list[Piece]:
    connected, glyphs = state.connected, state.glyphs
    if connected is None:
        return [(f"{glyphs.poll} CONNECTING ", Tone.WARN)]
    match connected.mode:
        case Mode.LIVE:
            return [(f"{glyphs.live} LIVE ", Tone.OK)]
        case Mode.POLL:
            return [(f"{glyphs.poll} POLL ", Tone.WARN)]
        case Mode.RECONNECTING:
            words = f"{glyphs.lost} RECONNECTING {connected.tries}  data {age(state.age_s)} old "
            return [(words, Tone.BAD)]
