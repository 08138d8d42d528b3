"""The application: it owns the state, hands messages to the tabs, and does what is confirmed."""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Footer

from delta_cli.dash.acting import Operator
from delta_cli.dash.actions import VERBS, Plan
from delta_cli.dash.commands import DashCommands
from delta_cli.dash.feed import Feed
from delta_cli.dash.filters import parse
from delta_cli.dash.glyphs import ASCII, UNICODE
from delta_cli.dash.keys import KEYS
from delta_cli.dash.messages import (
    ActionDone,
    ConnectionChanged,
    EventsArrived,
    Mode,
    SnapshotTaken,
)
from delta_cli.dash.options import Options
from delta_cli.dash.screens.controllers import ControllersTab
from delta_cli.dash.screens.events import EventsTab
from delta_cli.dash.screens.help import HelpScreen
from delta_cli.dash.screens.overview import OverviewTab
from delta_cli.dash.screens.resources import ResourcesTab
from delta_cli.dash.screens.tab import Tab
from delta_cli.dash.screens.ticks import TicksTab
from delta_cli.dash.screens.workers import WorkersTab
from delta_cli.dash.snapshot import Alert
from delta_cli.dash.state import State
from delta_cli.dash.store import DashStore
from delta_cli.dash.widgets.alert_line import AlertLine
from delta_cli.dash.widgets.event_log import Entry, EventLog
from delta_cli.dash.widgets.header_line import HeaderLine
from delta_cli.dash.widgets.keyed_table import KeyedTable
from delta_cli.dash.widgets.tab_bar import TabBar
from delta_cli.dash.words import shown
from delta_cli.engine.store.overview import Line

_FASTEST_S: Final = 0.5
_SLOWEST_S: Final = 60.0
_MOST_COPIED: Final = 100_000
#: What handlers reach for.
_PARTS: Final = (
    "HeaderLine, TabBar, AlertLine, ContentSwitcher, Tab, KeyedTable, EventLog, Detail, FilterBar, "
    "#rates, #health, #detail-head, #detail-panes, #detail-scroll, #detail-body"
)


class DeltaDash(App[None]):
    """The dashboard on an open store."""

    CSS_PATH = Path(__file__).with_name("dash.tcss")
    TITLE = "Delta"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar[set[Any]] = App.COMMANDS | {DashCommands}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - Textual's own
    VERTICAL_BREAKPOINTS = [(0, "-low"), (34, "-high")]  # noqa: RUF012 - Textual's own
    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def __init__(self, store: DashStore, options: Options) -> None:
        super().__init__()
        self.store: DashStore = store
        self.options: Options = options
        glyphs = ASCII if options.ascii else UNICODE
        self.state: State = State(options.where, read_only=options.read_only, glyphs=glyphs)
        self.feed: Feed = Feed(
            store, self.post_message, listen=options.listen, refresh_s=options.refresh_s
        )
        self.operator: Operator = Operator(self)
        self.is_frozen: bool = False
        self._waiting: list[Entry] = []
        self._history: list[str] = []
        self._place: int = -1
        self._next_alert: int = 0
        self._parts: int = 0
        if options.keys:
            self.set_keymap(dict(options.keys))

    def compose(self) -> ComposeResult:
        """Header, tabs, alerts, keys."""
        state = self.state
        yield HeaderLine(state)
        yield TabBar(id="tabs")
        with Container(id="body"), ContentSwitcher(initial=self.options.tab):
            yield OverviewTab(state, id="overview")
            yield ResourcesTab(state, self.store, id="resources")
            yield EventsTab(state, id="events")
            yield WorkersTab(state, id="workers")
            yield TicksTab(state, id="ticks")
            yield ControllersTab(state, id="controllers")
        yield AlertLine(state)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Look as was asked for."""
        if self.options.theme is not None:
            self.theme = self.options.theme
        if self.options.ascii:
            self.screen.add_class("-plain")
        self.go_to_tab(self.options.tab)

    def on_ready(self) -> None:
        """All parts are there: begin to read."""
        self._parts = self._count_parts()
        self.run_worker(self.feed.run, group="feed", name="feed")

    # What comes

    def on_connection_changed(self, message: ConnectionChanged) -> None:
        """LIVE, POLL or RECONNECTING; actions go off and on with it."""
        if not self._is_up:
            return
        was_away = self.state.is_away
        self.state.connected = message.connected
        if was_away != self.state.is_away:
            self.refresh_bindings()
        self._draw_lines()
        if message.connected.mode is Mode.RECONNECTING:
            self._show()

    def on_events_arrived(self, message: EventsArrived) -> None:
        """More of the log."""
        if not self._is_up:
            return
        self.state.take_events(message.events, message.newest, message.gap)
        entries: list[Entry] = [*([message.gap] if message.gap else []), *message.events]
        if self.is_frozen:
            self._waiting = (self._waiting + entries)[-(self.state.log.maxlen or 1) :]
            self.query_one(HeaderLine).frozen = len(self._waiting)
            return
        self._hand_out(entries)

    def _hand_out(self, entries: list[Entry]) -> None:
        for tab in self.query(Tab):
            tab.take(entries)
        if isinstance(self.tab, ResourcesTab):
            self.tab.read_soon()

    def on_snapshot_taken(self, message: SnapshotTaken) -> None:
        """The tables as they are now."""
        if self.is_frozen or not self._is_up:
            return
        self.state.take_snapshot(message.snapshot)
        self._show()

    def _show(self) -> None:
        self.tab.show_state()
        self._draw_lines()

    def _draw_lines(self) -> None:
        self.query_one(HeaderLine).refresh()
        self.query_one(AlertLine).refresh()

    # Going places

    @property
    def main_screen(self) -> Screen[Any]:
        """The screen below all dialogs."""
        return self.screen_stack[0]

    @property
    def tab(self) -> Tab:
        """The tab that is shown."""
        switcher = self.main_screen.query_one(ContentSwitcher)
        return self.main_screen.query_one(f"#{switcher.current}", Tab)

    def go_to_tab(self, tab: str) -> None:
        """Show a tab."""
        if self._place < 0 or self._history[self._place] != tab:
            self._history = [*self._history[: self._place + 1], tab][-50:]
            self._place = len(self._history) - 1
        self._switch(tab)

    def _switch(self, tab: str) -> None:
        screen = self.main_screen
        screen.query_one(ContentSwitcher).current = tab
        screen.query_one(TabBar).active = tab
        screen.set_focus(screen.query_one(f"#{self.tab.main}"))
        self._crumbs()
        self.tab.show_state()
        self.refresh_bindings()

    def _crumbs(self) -> None:
        self.main_screen.query_one(TabBar).crumbs = self.tab.crumbs

    def go_to_filter(self, text: str, *, then: str | None = None) -> None:
        """The list of what a filter lets through."""
        self.go_to_tab("resources")
        self._resources.filter_by(parse(text), then=then)

    def go_to_line(self, line: Line) -> None:
        """One resource."""
        text = f"kind:{line.kind} ns:{line.namespace} {line.object_id}"
        self.go_to_filter(text, then=str(line.id))

    def go_to_alert(self, alert: Alert) -> None:
        """Where an alert is."""
        self.go_to_tab(alert.tab)
        self.tab.go_to(alert.key)

    @property
    def _resources(self) -> ResourcesTab:
        return self.main_screen.query_one(ResourcesTab)

    def on_tab_bar_chosen(self, message: TabBar.Chosen) -> None:
        """A tab was clicked."""
        self.go_to_tab(message.tab)

    def on_resources_tab_crumbs(self) -> None:
        """Where one is has changed."""
        self._crumbs()
        self.refresh_bindings()

    def on_keyed_table_opened(self, message: KeyedTable.Opened) -> None:
        """Enter on a row: to what it is about."""
        match message.table.id:
            case "kinds":
                self.go_to_filter(f"kind:{message.key}" if message.key else "")
            case "few-workers":
                self.go_to_tab("workers")
                self.tab.go_to(message.key)
            case "few-ticks":
                self.go_to_tab("ticks")
                self.tab.go_to(message.key)
            case "workers-table":
                self.go_to_filter(f"worker:{message.key}")
            case "controllers-table":
                self.go_to_filter(f"kind:{message.key}")
            case "namespaces":
                self.go_to_filter(f"ns:{message.key}")
            case "ticks-table":
                self.main_screen.query_one("#tick-runs").focus()
            case _:
                self._show_error_of(message)

    def _show_error_of(self, message: KeyedTable.Opened) -> None:
        row = next((one for one in message.table.rows if one.key == message.key), None)
        words = row.cells.get("error", ("-", None))[0] if row else "-"
        self.notify(words, title="error", markup=False, timeout=15)

    def on_event_log_opened(self, message: EventLog.Opened) -> None:
        """Enter on an event: to its resource."""
        event = message.event
        text = f"kind:{event.kind} ns:{event.namespace} {event.object_id}"
        self.go_to_filter(text, then=str(event.resource_id))

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide what cannot be done here; grey out what cannot be done now."""
        if action == "ask":
            if self.options.read_only or not self._offers(str(parameters[0])):
                return False
            return None if self.state.is_away else True
        if action in ("mark", "mark_all", "diff"):
            return isinstance(self.tab, ResourcesTab) if self._is_up else False
        if action == "errors":
            return isinstance(self.tab, EventsTab) if self._is_up else False
        if action == "filter":
            return isinstance(self.tab, EventsTab | ResourcesTab) if self._is_up else False
        if action == "follow":
            return isinstance(self.tab, EventsTab | OverviewTab) if self._is_up else False
        return True

    @property
    def is_reading(self) -> bool:
        """Whether a tab waits for what it asked for."""
        return any(worker.group != "feed" and not worker.is_finished for worker in self.workers)

    @property
    def _is_up(self) -> bool:
        """Whether all parts are there: not before the first frame, and not while it closes."""
        return bool(self._parts and self.screen_stack) and self._count_parts() == self._parts

    def _count_parts(self) -> int:
        return len(self.main_screen.query(_PARTS))

    def _offers(self, verb: str) -> bool:
        return self._is_up and verb in self.tab.verbs

    def get_key_display(self, binding: Binding) -> str:
        """How the footer names a key: in ASCII mode by its letters."""
        shown_as = super().get_key_display(binding)
        return shown_as if not self.options.ascii or shown_as.isascii() else binding.key

    def action_tab(self, tab: str) -> None:
        """Show a tab."""
        self.go_to_tab(tab)

    def action_leave(self) -> None:
        """One step back: out of a detail, a filter, a zoom, or to the overview."""
        if self.main_screen.maximized is not None:
            self.main_screen.minimize()
        elif not self.tab.leave() and self.tab.id != "overview":
            self.go_to_tab("overview")

    def action_history(self, by: int) -> None:
        """The place before or after."""
        place = self._place + by
        if 0 <= place < len(self._history):
            self._place = place
            self._switch(self._history[place])

    def action_filter(self) -> None:
        """Write a filter."""
        tab = self.tab
        if isinstance(tab, EventsTab | ResourcesTab):
            tab.open_filter()

    def action_mark(self) -> None:
        """Mark the row under the cursor and go on to the next."""
        table = self.tab.table
        if table is not None and table.cursor_key is not None:
            table.mark(table.cursor_key)
            table.action_move(1)

    def action_mark_all(self) -> None:
        """Mark all rows that are shown."""
        table = self.tab.table
        if table is not None:
            table.mark_all()

    def action_sort(self) -> None:
        """Sort by the next column."""
        table = self.tab.table
        if table is not None:
            table.sort_next()
            self.tab.show_state()

    def action_reverse(self) -> None:
        """Sort the other way round."""
        table = self.tab.table
        if table is not None:
            table.sort_reverse()
            self.tab.show_state()

    def action_follow(self) -> None:
        """Follow the log, or hold it."""
        for log in self.tab.query(EventLog):
            if log.follows:
                log.hold()
            else:
                log.follow()

    def action_errors(self) -> None:
        """Only events of what went wrong, or all again."""
        tab = self.tab
        if isinstance(tab, EventsTab):
            tab.filter_by(tab.filter, errors_only=not tab.errors_only)

    def action_freeze(self) -> None:
        """Let everything stand still, or catch up."""
        self.is_frozen = not self.is_frozen
        header = self.main_screen.query_one(HeaderLine)
        header.frozen = 0 if self.is_frozen else None
        if not self.is_frozen:
            waiting, self._waiting = self._waiting, []
            self._hand_out(waiting)
            self.feed.refresh()
        header.refresh()

    def action_alert(self) -> None:
        """Go to the next alert."""
        alerts = self.state.alerts
        if alerts:
            self.go_to_alert(alerts[self._next_alert % len(alerts)])
            self._next_alert += 1

    def action_diff(self) -> None:
        """The diff of desired and last synced."""
        self._resources.open_detail("Diff")

    def action_pane(self, by: int) -> None:
        """The next pane of the detail, or the one before."""
        self._resources.turn_pane(by)

    def action_zoom(self) -> None:
        """The focused part over the whole screen, or back."""
        screen = self.main_screen
        if screen.maximized is not None:
            screen.minimize()
        elif screen.focused is not None:
            screen.maximize(screen.focused)

    def action_refresh(self, factor: float) -> None:
        """Read the tables more or less often."""
        self.feed.refresh_s = min(_SLOWEST_S, max(_FASTEST_S, self.feed.refresh_s * factor))
        header = self.main_screen.query_one(HeaderLine)
        header.refresh_s = self.feed.refresh_s
        header.refresh()

    def action_reconnect(self) -> None:
        """Try to connect now."""
        self.feed.reconnect()

    def action_help(self) -> None:
        """What the focused part does, and all keys."""
        focused = self.main_screen.focused
        keys = [
            (self.get_key_display(binding), binding.description)
            for binding in self._bindings.key_to_bindings.values()
            for binding in binding[:1]
            if binding.description
        ]
        self.push_screen(HelpScreen(getattr(focused, "HELP", None), list(dict.fromkeys(keys))))

    # Copying

    def action_copy(self) -> None:
        """The resource, or the row under the cursor, as JSON."""
        row = self._resources.row if isinstance(self.tab, ResourcesTab) else None
        if row is not None:
            self._copy(json.dumps(row.object, ensure_ascii=False, default=str, indent=2), "object")
            return
        table = self.tab.table
        found = (
            next((one for one in table.rows if one.key == table.cursor_key), None)
            if table
            else None
        )
        if found is not None:
            cells = {name: words.strip() for name, (words, _) in found.cells.items()}
            self._copy(json.dumps(cells, ensure_ascii=False, indent=2), "row")

    def action_copy_command(self) -> None:
        """The command line that shows what is under the cursor."""
        line = self._resources.line if isinstance(self.tab, ResourcesTab) else None
        if line is not None:
            plan = Plan("get", lines=[line])
            self._copy(plan.commands[0], "command")

    def _copy(self, text: str, what: str) -> None:
        if len(text) > _MOST_COPIED:
            self.notify(f"the {what} is too long for a terminal to copy", severity="warning")
            return
        self.copy_to_clipboard(text)
        self.notify(f"{what} copied, if the terminal allows it", timeout=2)

    # Acting

    def action_ask(self, verb: str) -> None:
        """Do something to what is chosen, after asking."""
        self.operator.ask(verb)

    def on_action_done(self, message: ActionDone) -> None:
        """Say what was done, and read again."""
        severity = "information" if message.is_ok else "warning"
        self.notify(shown(message.text), severity=severity, markup=False)
        table = self._resources.table
        if table is not None:
            table.unmark()
        self._resources.read_soon(at_once=True)
        self.feed.refresh()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Textual's own, and what the keys of the tab can do."""
        yield from super().get_system_commands(screen)
        actions: Mapping[str, Callable[[], None]] = {
            verb: partial(self.operator.ask, verb)
            for verb in VERBS
            if self.check_action("ask", (verb,))
        }
        for verb, run in actions.items():
            yield SystemCommand(f"{verb.capitalize()} what is chosen", "asks first", run)
        yield SystemCommand("Freeze or catch up", "the whole screen", self.action_freeze)
