"""The log of events: it follows while its end is seen, and holds as soon as one scrolls up."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip

from delta_cli.dash.event_lines import Entry, Line, Longest, draw_line, lines_of
from delta_cli.dash.glyphs import Glyphs
from delta_cli.dash.tones import Tone
from delta_cli.dash.widgets.drawn_lines import DrawnLines
from delta_cli.dash.widgets.moves import MOVES
from delta_cli.engine.model.event import Event


@dataclass(frozen=True, slots=True)
class Place:
    """Where the log stands: at its end, or held with `fresh` new entries below."""

    follows: bool
    fresh: int

    @property
    def words(self) -> str:
        """Where it stands, for a title."""
        return "FOLLOW" if self.follows else f"HELD, +{self.fresh:,} new"


class EventLog(DrawnLines):
    """The last entries that were given, at most `ring` of them."""

    BINDINGS: ClassVar[list[BindingType]] = [*MOVES]
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
        self.wraps: bool = False
        self._entries: deque[Entry] = deque(maxlen=ring)
        self._lines: deque[Line] = deque(maxlen=ring)
        self._longest: Longest = Longest()
        self._cursor: int = -1
        self._width: int = 0

    @property
    def entries(self) -> Sequence[Entry]:
        """What is in the log, the oldest first."""
        return self._entries

    def load(self, entries: Iterable[Entry]) -> None:
        """Show these instead, from the end."""
        self._entries.clear()
        self._entries.extend(entries)
        self._longest = Longest().over(self._entries)
        self._break_lines()
        self.follow()

    def add(self, entries: Sequence[Entry]) -> None:
        """More at the end. Held, the same lines stay in sight, until the ring has lost them."""
        if not entries:
            return
        self._widen(entries)
        self._entries.extend(entries)
        lines = [line for entry in entries for line in self._lines_of(entry)]
        lost = max(0, len(self._lines) + len(lines) - (self._lines.maxlen or 0))
        self._lines.extend(lines)
        self.set_line_count(len(self._lines))
        if self.follows:
            self._to_end()
        else:
            self.fresh += len(entries)
            self._lose(lost)
            self._tell()
        self.refresh()

    def _widen(self, entries: Sequence[Entry]) -> None:
        """Make room for the names of more entries: that moves where errors begin and break."""
        longest = self._longest.over(entries)
        if longest != self._longest:
            self._longest = longest
            if self.wraps:
                self._break_lines()

    def _lose(self, lines: int) -> None:
        """The oldest lines are gone: what is in sight moves up with its text."""
        self._cursor = max(0, self._cursor - lines)
        if lines:
            top = max(0, round(self.scroll_offset.y) - lines)
            self.scroll_to(y=top, animate=False, immediate=True)

    def toggle_wrap(self) -> None:
        """Show errors whole, on as many lines as they need, or cut at the end of theirs."""
        self.wraps = not self.wraps
        self._break_lines()

    def _break_lines(self) -> None:
        """Make all lines anew; the cursor stays with its entry."""
        held = self._entry_under_cursor
        self._width = self.line_width
        self._lines.clear()
        self._lines.extend(line for entry in self._entries for line in self._lines_of(entry))
        self.set_line_count(len(self._lines))
        if self.follows or held is None:
            self._to_end()
        else:
            found = (place for place, line in enumerate(self._lines) if line.entry is held)
            self._cursor = next(found, 0)
            self.show_line(self._cursor)
        self.refresh()

    def _lines_of(self, entry: Entry) -> list[Line]:
        return lines_of(entry, self._width, self._longest, wraps=self.wraps)

    def follow(self) -> None:
        """Go to the end and stay there."""
        self.follows, self.fresh = True, 0
        self._to_end()
        self._tell()
        self.refresh()

    def hold(self) -> None:
        """Stay here whatever comes."""
        if self.follows:
            self.follows = False
            self._tell()

    def on_resize(self) -> None:
        """The end stays in sight."""
        if self.wraps and self._width != self.line_width:
            self._break_lines()
            return
        self.set_line_count(len(self._lines))
        if self.follows:
            self._to_end()

    def _to_end(self) -> None:
        self._cursor = len(self._lines) - 1
        top = max(0, len(self._lines) - self.visible_lines)
        self.scroll_to(y=top, animate=False, immediate=True, force=True)

    def _tell(self) -> None:
        self.post_message(self.Placed(self, Place(self.follows, self.fresh)))

    # Moving

    def action_move(self, by: int) -> None:
        """Move the cursor; upwards holds, beyond the end follows."""
        if not self._lines:
            return
        last = len(self._lines) - 1
        if self._cursor + by > last or (self._cursor + by == last and by > 0):
            self.follow()
            return
        self.hold()
        self._cursor = max(0, self._cursor + by)
        self.show_line(self._cursor)
        self.refresh()

    def action_page(self, by: int) -> None:
        """Move by as many lines as are seen."""
        self.action_move(by * max(1, self.visible_lines - 1))

    def action_edge(self, by: int) -> None:
        """To the first line, or to the end to follow it."""
        self.action_move(by * max(1, len(self._lines)))

    @property
    def _entry_under_cursor(self) -> Entry | None:
        return self._lines[self._cursor].entry if 0 <= self._cursor < len(self._lines) else None

    def action_open(self) -> None:
        """Open the resource of the line under the cursor."""
        entry = self._entry_under_cursor
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
        if offset is None or not 0 <= self.line_at(offset.y) < len(self._lines):
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
        if index >= len(self._lines):
            words = " no events yet" if not self._lines and index == 0 else ""
            return self.draw([(words, Tone.MUTED)])
        line = self._lines[index]
        is_under = self.has_focus and line.entry is self._entry_under_cursor
        width = self.line_width
        pieces = draw_line(line, width, self._longest, self.glyphs, wraps=self.wraps)
        return self.draw(pieces, *(("line--cursor",) if is_under else ()))
