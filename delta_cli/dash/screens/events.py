"""The tab Events: the whole log, followed or held, filtered, or only what went wrong."""

from collections.abc import Sequence
from typing import Final

from textual.app import ComposeResult
from textual.content import Content

from delta_cli.dash.event_lines import Entry
from delta_cli.dash.filters import Filter
from delta_cli.dash.log_reading import LOG_LINES, RING
from delta_cli.dash.screens.tab import Tab
from delta_cli.dash.widgets.event_log import EventLog, Place
from delta_cli.dash.widgets.filter_bar import FilterBar
from delta_cli.dash.words import shown
from delta_cli.engine.model.event import Event, EventCategory

_ERRORS: Final = frozenset({EventCategory.OBJECT_FAILED, EventCategory.OBJECT_RESCUED})


class EventsTab(Tab):
    """The last events of all."""

    main = "events-log"

    def compose(self) -> ComposeResult:
        """The filter and the log."""
        yield FilterBar(back_to=self.main)
        yield EventLog(glyphs=self.glyphs, id="events-log", ring=LOG_LINES)

    def on_mount(self) -> None:
        """No filter at first."""
        self.filter: Filter = Filter()
        self.errors_only: bool = False
        self._reload()

    @property
    def log_view(self) -> EventLog:
        """The log."""
        return self.query_one("#events-log", EventLog)

    def take(self, entries: Sequence[Entry]) -> None:
        """More of the log: what the filter lets through."""
        self.log_view.add([entry for entry in entries if self._takes(entry)])

    def go_to(self, key: str) -> None:
        """Nothing has a key here."""

    def filter_by(self, chosen: Filter, *, errors_only: bool) -> None:
        """Show what this filter lets through."""
        self.filter, self.errors_only = chosen, errors_only
        self._reload()

    def open_filter(self) -> None:
        """Write a filter."""
        self.query_one(FilterBar).open(self.filter.text)

    def on_filter_bar_entered(self, message: FilterBar.Entered) -> None:
        """A filter was entered."""
        message.stop()
        self.filter_by(message.chosen, errors_only=self.errors_only)

    def on_event_log_placed(self, message: EventLog.Placed) -> None:
        """Say how the log stands."""
        self._title(message.place)

    def _reload(self) -> None:
        self.log_view.load(entry for entry in self.state.log if self._takes(entry))

    def _takes(self, entry: Entry) -> bool:
        if not isinstance(entry, Event):
            return True
        return self.filter.takes(entry) and (not self.errors_only or entry.category in _ERRORS)

    def _title(self, place: Place) -> None:
        dot = f" {self.glyphs.separator} "
        chosen = shown(self.filter.text or "all")
        errors = f"{dot}errors only" if self.errors_only else ""
        self.log_view.border_title = Content(f"Events{dot}{place.words}{dot}{chosen}{errors}")
        self.log_view.border_subtitle = f"the last {RING:,}"
