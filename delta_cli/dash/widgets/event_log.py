"""The log of events: it follows while its end is seen, and holds as soon as one scrolls up."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.cells import set_cell_size
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from delta_cli.dash.glyphs import Glyphs
from delta_cli.dash.messages import Gap
from delta_cli.dash.tones import OF_CATEGORY, OF_STATE, Piece, Tone
from delta_cli.dash.widgets.drawn_lines import DrawnLines
from delta_cli.dash.words import age, clock, fit, milliseconds, shown
from delta_cli.engine.model import Event, EventCategory

Entry = Event | Gap
_WIDE: Final = 100
_WORDS: Final = {
    EventCategory.OBJECT_INVALIDATED: "invalid",
    EventCategory.OBJECT_RETRIED: "retried",
    EventCategory.OBJECT_RESCUED: "rescued",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the log stands: at its end, or held with `fresh` new lines below."""

    follows: bool
    fresh: int


class EventLog(DrawnLines):
    """The last events that were given, at most `ring` of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "edge(-1)", "First", show=False),
        Binding("end,G", "edge(1)", "Last", show=False),
        Binding("enter", "open", "open"),
    ]
    HELP = "up holds the log, end or f follows it again, enter opens the resource of a line"

    class Opened(Message):
        """An event was chosen."""

        def __init__(self, event: Event) -> None:
            super().__init__()
            self.event: Event = event

    class Placed(Message):
        """The log follows, or holds, or has other new lines."""

        def __init__(self, log: "EventLog", place: Place) -> None:
            super().__init__()
            self.log: EventLog = log
            self.place: Place = place

    def __init__(self, *, glyphs: Glyphs, id: str, ring: int) -> None:  # noqa: A002
        super().__init__(glyphs=glyphs, id=id)
        self.follows: bool = True
        self.fresh: int = 0
        self._entries: deque[Entry] = deque(maxlen=ring)
        self._cursor: int = -1

    @property
    def entries(self) -> Sequence[Entry]:
        """What is in the log, the oldest first."""
        return self._entries

    def load(self, entries: Iterable[Entry]) -> None:
        """Show these instead, from the end."""
        self._entries.clear()
        self._entries.extend(entries)
        self.set_line_count(len(self._entries))
        self.follow()
        self.refresh()

    def add(self, entries: Sequence[Entry]) -> None:
        """More at the end. Held, the same lines stay in sight, until the ring has lost them."""
        if not entries:
            return
        limit = self._entries.maxlen or 0
        lost = max(0, len(self._entries) + len(entries) - limit)
        self._entries.extend(entries)
        self.set_line_count(len(self._entries))
        if self.follows:
            self._to_end()
        else:
            self.fresh += len(entries)
            self._cursor = max(0, self._cursor - lost)
            if lost:
                top = max(0, round(self.scroll_offset.y) - lost)
                self.scroll_to(y=top, animate=False, immediate=True)
            self._tell()
        self.refresh()

    def follow(self) -> None:
        """Go to the end and stay there."""
        self.follows, self.fresh = True, 0
        self._to_end()
        self._tell()

    def hold(self) -> None:
        """Stay here whatever comes."""
        if self.follows:
            self.follows = False
            self._tell()

    def on_resize(self) -> None:
        """The end stays in sight."""
        self.set_line_count(len(self._entries))
        if self.follows:
            self._to_end()

    def _to_end(self) -> None:
        self._cursor = len(self._entries) - 1
        top = max(0, len(self._entries) - self.visible_lines)
        self.scroll_to(y=top, animate=False, immediate=True, force=True)

    def _tell(self) -> None:
        self.post_message(self.Placed(self, Place(self.follows, self.fresh)))

    # Moving

    def action_move(self, by: int) -> None:
        """Move the cursor; upwards holds, beyond the end follows."""
        if not self._entries:
            return
        last = len(self._entries) - 1
        if self._cursor + by > last or (self._cursor + by == last and by > 0):
            self.follow()
        else:
            self.hold()
            self._cursor = max(0, self._cursor + by)
            self.show_line(self._cursor)
        self.refresh()

    def action_page(self, by: int) -> None:
        """Move by as many lines as are seen."""
        self.action_move(by * max(1, self.visible_lines - 1))

    def action_edge(self, by: int) -> None:
        """To the first line, or to the end to follow it."""
        self.action_move(by * max(1, len(self._entries)))

    def action_open(self) -> None:
        """Open the resource of the line under the cursor."""
        if 0 <= self._cursor < len(self._entries):
            entry = self._entries[self._cursor]
            if isinstance(entry, Event):
                self.post_message(self.Opened(entry))

    def on_mouse_scroll_up(self) -> None:
        """Scrolling up holds."""
        self.hold()
        self._cursor = min(self._cursor, round(self.scroll_offset.y) + self.visible_lines - 1)

    def on_mouse_scroll_down(self) -> None:
        """Scrolling to the end follows."""
        if not self.follows and self.is_vertical_scroll_end:
            self.follow()

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor, a double click opens."""
        offset = event.get_content_offset(self)
        if offset is None or not 0 <= self.line_at(offset.y) < len(self._entries):
            return
        self.hold()
        self._cursor = self.line_at(offset.y)
        self.refresh()
        if event.chain > 1:
            self.action_open()

    # Drawing

    def render_line(self, y: int) -> Strip:
        """One line of the widget."""
        index = self.line_at(y)
        if index >= len(self._entries):
            words = " no events yet" if not self._entries and index == 0 else ""
            return self.draw([(words, Tone.MUTED)])
        entry = self._entries[index]
        if isinstance(entry, Gap):
            return self.draw([(gap_words(entry, self.glyphs), Tone.WARN)])
        under = ("line--cursor",) if index == self._cursor and self.has_focus else ()
        return self.draw(event_pieces(entry, self.size.width, self.glyphs), *under)


def gap_words(gap: Gap, glyphs: Glyphs) -> str:
    """A line that says how long nothing was heard, and what became of the events meanwhile."""
    rule = glyphs.rule * 2
    missed = f", {gap.missed:,} more are not shown" if gap.missed else ""
    return (
        f" {rule} gap: nothing heard for {age(gap.lasted_s)}, "
        f"{gap.found:,} events back-filled from {gap.from_id:,}{missed} {rule}"
    )


def event_pieces(event: Event, width: int, glyphs: Glyphs) -> list[Piece]:
    """An event as one line."""
    is_wide = width >= _WIDE
    word, tone = event_word(event)
    where = shown(f"{event.kind}/{event.object_id}")
    pieces: list[Piece] = [
        (f" {clock(event.at, thousandths=is_wide)} ", Tone.MUTED),
        (f"{word:<9}", tone),
        (_column(where, 34 if is_wide else 24, glyphs), Tone.PLAIN),
        (_column(shown(event.namespace), 14 if is_wide else 9, glyphs), Tone.MUTED),
        (f"{f'a{event.attempt}/{event.max_attempts}':<7}", Tone.MUTED),
        (f"{milliseconds(event.duration_ms):>7} ", Tone.MUTED),
    ]
    if is_wide:
        worker = "" if event.worker is None else f"w{event.worker}"
        pieces.append((f"{worker:<7}", Tone.MUTED))
    if event.actor is not None:
        pieces.append((f" by {shown(event.actor)}", Tone.STRONG))
    if event.error is not None:
        pieces.append((f" {shown(event.error[:400])}", Tone.WARN))
    return pieces


def event_word(event: Event) -> tuple[str, Tone]:
    """What an event says in one word: of failures, the state that they led to."""
    if event.category is EventCategory.OBJECT_FAILED:
        return event.state.value, OF_STATE[event.state]
    word = _WORDS.get(event.category, event.category.value.removeprefix("object_"))
    return word, OF_CATEGORY[event.category]


def _column(text: str, width: int, glyphs: Glyphs) -> str:
    return set_cell_size(fit(text, width - 1, cut=glyphs.cut), width)
