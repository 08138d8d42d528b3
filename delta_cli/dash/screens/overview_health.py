"""What a narrow terminal has room for of workers and ticks: how many are well, and the problems."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from delta_cli.dash.snapshot import Snapshot, fleet_words, is_unattended, is_unwell
from delta_cli.dash.state import State
from delta_cli.dash.tones import Piece, Tone, text_of
from delta_cli.dash.words import fit, shown


def health_text(state: State, width: int) -> Text:
    """A line for the workers and one for the ticks, in so many columns."""
    snapshot = state.snapshot
    if snapshot is None:
        return Text("")
    lines = {
        f"Workers {fleet_words(snapshot)}  ": _alerts_of("workers", state),
        f"Ticks   {_ticks(snapshot)}  ": [*_unattended(snapshot), *_alerts_of("ticks", state)],
    }
    pieces: list[Piece] = []
    for words, problems in lines.items():
        told = "  ".join(f"!{problem}" for problem in problems) or "all well"
        told = fit(told, width - cell_len(words), cut=state.glyphs.cut)
        pieces += [(words, Tone.PLAIN), (told + "\n", Tone.BAD if problems else Tone.OK)]
    return text_of(pieces)


def _alerts_of(tab: str, state: State) -> list[str]:
    return [shown(alert.text) for alert in state.alerts if alert.tab == tab]


def _ticks(snapshot: Snapshot) -> str:
    unwell = sum(tick.paused or is_unwell(tick, snapshot.at) for tick in snapshot.ticks)
    return f"{len(snapshot.ticks) - unwell}/{len(snapshot.ticks)}"


def _unattended(snapshot: Snapshot) -> Sequence[str]:
    """Each overdue tick has no alert of its own where all have one cause."""
    return ["none runs: no worker is alive"] if is_unattended(snapshot) else []
