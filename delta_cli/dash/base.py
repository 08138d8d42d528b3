"""What the parts of the application have in common: its state, its screens, and what they show."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from textual.app import App
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widgets import ContentSwitcher

from delta_cli.dash.acting import Operator
from delta_cli.dash.event_lines import Entry
from delta_cli.dash.feed import Feed
from delta_cli.dash.glyphs import ASCII, UNICODE
from delta_cli.dash.history import History
from delta_cli.dash.options import Options
from delta_cli.dash.screens.resources import ResourcesTab
from delta_cli.dash.screens.tab import Tab
from delta_cli.dash.state import State
from delta_cli.dash.store import DashStore
from delta_cli.dash.widgets.alert_line import AlertLine
from delta_cli.dash.widgets.event_log import EventLog
from delta_cli.dash.widgets.header_line import HeaderLine
from delta_cli.dash.widgets.tab_bar import TabBar

#: What handlers reach for.
_PARTS: Final = (
    "HeaderLine, TabBar, AlertLine, ContentSwitcher, Tab, KeyedTable, EventLog, Detail, FilterBar, "
    "#rates, #health, #worker-more, #detail-head, #detail-panes, #detail-scroll, #detail-body"
)


class DashBase(App[None]):
    """The dashboard on an open store. `when_ready` is called once all of it is there."""

    def __init__(
        self,
        store: DashStore,
        options: Options,
        *,
        when_ready: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self.store: DashStore = store
        self.options: Options = options
        glyphs = ASCII if options.ascii else UNICODE
        self.state: State = State(options.where, read_only=options.read_only, glyphs=glyphs)
        self.feed: Feed = Feed(
            store, self.post_message, listen=options.listen, refresh_s=options.refresh_s
        )
        self.operator: Operator = Operator(self)
        self.when_ready: Callable[[], None] = when_ready
        self.history: History = History()
        self.is_frozen: bool = False
        self.waiting: list[Entry] = []
        self._parts: int = 0
        for theme in options.themes.values():
            self.register_theme(theme)
        if options.keys:
            self.set_keymap(dict(options.keys))

    @property
    def main_screen(self) -> Screen[Any]:
        """The screen below all dialogs."""
        return self.screen_stack[0]

    @property
    def tab(self) -> Tab:
        """The tab that is shown."""
        switcher = self.main_screen.query_one(ContentSwitcher)
        return self.main_screen.query_one(f"#{switcher.current}", Tab)

    @property
    def shown_tab(self) -> Tab | None:
        """The tab that is shown; None before there is one, and while it all closes."""
        try:
            return self.tab if self._parts else None
        except (NoMatches, IndexError):
            return None

    @property
    def resources(self) -> ResourcesTab:
        """The tab Resources."""
        return self.main_screen.query_one(ResourcesTab)

    @property
    def header(self) -> HeaderLine:
        """The first line."""
        return self.main_screen.query_one(HeaderLine)

    @property
    def is_up(self) -> bool:
        """Whether all parts are there: not before the first frame, and not while it closes."""
        return bool(self._parts and self.screen_stack) and self.count_parts() == self._parts

    @property
    def is_reading(self) -> bool:
        """Whether a tab waits for what it asked for."""
        return any(worker.group != "feed" and not worker.is_finished for worker in self.workers)

    def count_parts(self) -> int:
        """How many widgets there are that handlers reach for."""
        return len(self.main_screen.query(_PARTS))

    def hand_out(self, entries: Sequence[Entry]) -> None:
        """Give more of the log to all tabs."""
        for tab in self.main_screen.query(Tab):
            tab.take(entries)
        if isinstance(self.tab, ResourcesTab):
            self.tab.read_soon()

    @property
    def logs(self) -> Sequence[EventLog]:
        """The logs of the tab that is shown."""
        return list(self.tab.query(EventLog))

    def show(self) -> None:
        """Show the state as it is now."""
        self.tab.show_state()
        self.draw_lines()

    def draw_lines(self) -> None:
        """Draw the first line and the alerts again."""
        self.header.refresh()
        self.main_screen.query_one(AlertLine).refresh()

    def show_crumbs(self) -> None:
        """Say where one is."""
        self.main_screen.query_one(TabBar).crumbs = self.tab.crumbs

    def switch_to(self, tab: str) -> None:
        """Show a tab, and leave the history as it is."""
        screen = self.main_screen
        screen.query_one(ContentSwitcher).current = tab
        screen.query_one(TabBar).active = tab
        screen.set_focus(screen.query_one(f"#{self.tab.main}"))
        self.show_crumbs()
        self.tab.show_state()
        self.refresh_bindings()
