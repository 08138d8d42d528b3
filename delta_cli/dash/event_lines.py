"""Events and gaps as lines of a log: one each, or as many as their errors need."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, set_cell_size

from delta_cli.dash.glyphs import Glyphs
from delta_cli.dash.messages import Gap
from delta_cli.dash.sizes import BROAD, WIDE
from delta_cli.dash.tones import OF_CATEGORY, OF_STATE, Piece, Tone
from delta_cli.dash.words import (
    age,
    chopped,
    clock,
    fit,
    fit_ends,
    milliseconds,
    shown,
    shown_width,
)
from delta_cli.engine.model.event import Event, EventCategory

Entry = Event | Gap
#: Of an error so many characters at most are looked at, and so many lines shown.
_LONGEST: Final = 4_000
_MOST_LINES: Final = 20
_INDENT: Final = " " * 14
#: Columns: names have so many at least, errors so many before names have more, and names at most
#: so many where that is more than half of the room that both share.
_NAME_LEAST: Final = 24
_ERROR_LEAST: Final = 16
_NAME_MOST: Final = 60
_WORDS: Final = {
    EventCategory.OBJECT_INVALIDATED: "invalid",
    EventCategory.OBJECT_RETRIED: "retried",
    EventCategory.OBJECT_RESCUED: "rescued",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log: the first of its entry, or (`more`) a further one with more of its error."""

    entry: Entry
    more: str | None = None


@dataclass(frozen=True, slots=True)
class Longest:
    """How wide the widest name (as kind/id) and the widest namespace of a log are."""

    name: int = 0
    namespace: int = 0

    def over(self, entries: Iterable[Entry]) -> "Longest":
        """The same with these entries."""
        events = [one for one in entries if isinstance(one, Event)]
        return Longest(
            max([self.name, *(shown_width(_name(one)) for one in events)]),
            max([self.namespace, *(shown_width(one.namespace) for one in events)]),
        )


def lines_of(entry: Entry, width: int, longest: Longest, *, wraps: bool) -> list[Line]:
    """The lines of an entry. Not wrapped, its error is cut where the line ends."""
    if isinstance(entry, Gap) or entry.error is None or not wraps:
        return [Line(entry)]
    said = shown(entry.error[:_LONGEST])
    # Whatever the sign of a cut is, it is one column wide.
    head = _head(entry, width, longest, cut="~", wraps=wraps)
    taken = _width_of([*head, *_actor(entry)]) + 1
    if taken + cell_len(said) <= width:
        return [Line(entry)]
    pieces = chopped(said, max(20, width - len(_INDENT) - 1))[:_MOST_LINES]
    return [Line(entry), *(Line(entry, piece) for piece in pieces)]


def draw_line(
    line: Line, width: int, longest: Longest, glyphs: Glyphs, *, wraps: bool
) -> list[Piece]:
    """A line in pieces."""
    entry = line.entry
    if isinstance(entry, Gap):
        return [(gap_words(entry, glyphs), Tone.WARN)]
    if line.more is not None:
        return [(_INDENT + line.more, Tone.WARN)]
    pieces = _head(entry, width, longest, glyphs.cut, wraps=wraps)
    for words, tone in _actor(entry):
        pieces.append((fit(words, width - _width_of(pieces), cut=glyphs.cut), tone))
    if entry.error is None:
        return pieces
    said = f" {shown(entry.error[: 4 * width])}"
    left = width - _width_of(pieces)
    if wraps and cell_len(said) > left:
        return pieces  # it follows below
    return [*pieces, (fit(said, left, cut=glyphs.cut), Tone.WARN)]


def gap_words(gap: Gap, glyphs: Glyphs) -> str:
    """A line that says how long nothing was heard, and what became of the events meanwhile."""
    rule = glyphs.rule * 2
    missed = f", {gap.missed:,} more are not shown" if gap.missed else ""
    return (
        f" {rule} gap: nothing heard for {age(gap.lasted_s)}, "
        f"{gap.found:,} events back-filled from {gap.from_id:,}{missed} {rule}"
    )


def _head(event: Event, width: int, longest: Longest, cut: str, *, wraps: bool) -> list[Piece]:
    """An event without its actor and its error."""
    is_wide = width >= WIDE
    word, tone = event_word(event)
    before: list[Piece] = [
        (f" {clock(event.at, thousandths=is_wide)} ", Tone.MUTED),
        (f"{word:<9}", tone),
    ]
    after: list[Piece] = [
        (f"{f'a{event.attempt}/{event.max_attempts}':<7}", Tone.MUTED),
        (f"{milliseconds(event.duration_ms):>7} ", Tone.MUTED),
    ]
    if is_wide:
        worker = "" if event.worker is None else f"w{event.worker}"
        after.append((f"{worker:<7}", Tone.MUTED))
    left = width - _width_of([*before, *after])
    namespace_width = min(longest.namespace + 1, 20 if width >= BROAD else 14 if is_wide else 9)
    left -= namespace_width
    # Wrapped, what has no room follows below.
    name_width = min(longest.name + 1, left if wraps else _most_of_name(left))
    return [
        *before,
        (
            set_cell_size(fit_ends(shown(_name(event)), name_width - 1, cut=cut), name_width),
            Tone.PLAIN,
        ),
        (_column(shown(event.namespace), namespace_width, cut), Tone.MUTED),
        *after,
    ]


def _most_of_name(room: int) -> int:
    """How much of the room that names and errors share names may take: they come first."""
    return min(max(_NAME_LEAST, room - _ERROR_LEAST), max(_NAME_MOST, room // 2))


def _name(event: Event) -> str:
    return f"{event.kind}/{event.object_id}"


def _actor(event: Event) -> list[Piece]:
    return [] if event.actor is None else [(f" by {shown(event.actor)}", Tone.STRONG)]


def _width_of(pieces: Iterable[Piece]) -> int:
    return sum(cell_len(words) for words, _ in pieces)


def event_word(event: Event) -> tuple[str, Tone]:
    """What an event says in one word: of failures, the state that they led to."""
    if event.category is EventCategory.OBJECT_FAILED:
        return event.state.value, OF_STATE[event.state]
    word = _WORDS.get(event.category, event.category.value.removeprefix("object_"))
    return word, OF_CATEGORY[event.category]


def event_words(entries: Sequence[Entry], glyphs: Glyphs) -> str:
    """Entries as plain text, errors in full, for a pager."""
    return "\n".join(_words(entry, glyphs) for entry in entries)


def _words(entry: Entry, glyphs: Glyphs) -> str:
    if isinstance(entry, Gap):
        return gap_words(entry, glyphs)
    head = _head(entry, BROAD, Longest().over([entry]), glyphs.cut, wraps=False)
    said = "".join(words for words, _ in [*head, *_actor(entry)]).rstrip()
    return said if entry.error is None else f"{said} {shown(entry.error)}"


def _column(text: str, width: int, cut: str) -> str:
    return set_cell_size(fit(text, width - 1, cut=cut), width)
