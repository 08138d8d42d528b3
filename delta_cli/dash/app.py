"""The application: it owns the state, hands messages to the tabs, and asks before it acts."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual.actions import ActionParseResult, parse
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Input

from delta_cli.dash.actions import VERBS
from delta_cli.dash.base import DashBase
from delta_cli.dash.commands import DashCommands
from delta_cli.dash.copying import Copying
from delta_cli.dash.event_lines import Entry
from delta_cli.dash.going import Going
from delta_cli.dash.keys import KEYS
from delta_cli.dash.looking import Looking
from delta_cli.dash.messages import (
    ActionDone,
    ConnectionChanged,
    EventsArrived,
    Mode,
    SnapshotTaken,
)
from delta_cli.dash.screens.controllers import ControllersTab
from delta_cli.dash.screens.events import EventsTab
from delta_cli.dash.screens.overview import OverviewTab
from delta_cli.dash.screens.resources import ResourcesTab
from delta_cli.dash.screens.tab import Tab
from delta_cli.dash.screens.ticks import TicksTab
from delta_cli.dash.screens.workers import WorkersTab
from delta_cli.dash.sizes import BROAD, WIDE
from delta_cli.dash.widgets.alert_line import AlertLine
from delta_cli.dash.widgets.header_line import HeaderLine
from delta_cli.dash.widgets.key_line import KeyLine
from delta_cli.dash.widgets.tab_bar import TABS, TabBar
from delta_cli.dash.words import shown

#: On which tabs a key does something.
_TABS_OF: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("mark", "mark_all", "diff", "copy_command"), (ResourcesTab,)),
    "errors": (EventsTab,),
    "filter": (EventsTab, ResourcesTab),
    "follow": (EventsTab, OverviewTab),
    "wrap": (EventsTab, OverviewTab, ResourcesTab),
    "sort": (OverviewTab, ResourcesTab, WorkersTab, TicksTab, ControllersTab),
}


class DeltaDash(Going, Looking, Copying):
    """The dashboard on an open store."""

    CSS_PATH = Path(__file__).with_name("dash.tcss")
    TITLE = "Delta"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar[set[Any]] = DashBase.COMMANDS | {DashCommands}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide"), (BROAD, "-broad")]  # noqa: RUF012 - Textual's own
    VERTICAL_BREAKPOINTS = [(0, "-low"), (34, "-high")]  # noqa: RUF012 - Textual's own
    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def compose(self) -> ComposeResult:
        """Header, tabs, alerts, keys."""
        state = self.state
        yield HeaderLine(state)
        yield TabBar(id="tabs")
        with Container(id="body"), ContentSwitcher(initial=self.options.tab):
            yield OverviewTab(state, id="overview")
            yield ResourcesTab(state, self.store.resources, id="resources")
            yield EventsTab(state, id="events")
            yield WorkersTab(state, id="workers")
            yield TicksTab(state, self.store.changes.ticks, id="ticks")
            yield ControllersTab(state, id="controllers")
        yield AlertLine(state)
        yield KeyLine()

    def on_mount(self) -> None:
        """Look as was asked for."""
        if self.options.theme is not None:
            self.theme = self.options.theme
        if self.options.ascii:
            self.screen.add_class("-plain")
        self.go_to_tab(self.options.tab)

    def on_ready(self) -> None:
        """All parts are there: begin to read."""
        self._parts = self.count_parts()
        self.refresh_bindings()
        for words in self.options.warnings:
            self.notify(shown(words), severity="warning", markup=False, timeout=15)
        self.run_worker(self.feed.run, group="feed", name="feed")
        self.when_ready()

    # What comes

    def on_connection_changed(self, message: ConnectionChanged) -> None:
        """LIVE, POLL or RECONNECTING; actions go off and on with it."""
        if not self.is_up:
            return
        was_away = self.state.is_away
        self.state.connected = message.connected
        if was_away != self.state.is_away:
            self.refresh_bindings()
        self.draw_lines()
        if message.connected.mode is Mode.RECONNECTING:
            self.show()

    def on_events_arrived(self, message: EventsArrived) -> None:
        """More of the log."""
        if not self.is_up:
            return
        self.state.take_events(message.events, message.newest, message.gap)
        entries: list[Entry] = [*([message.gap] if message.gap else []), *message.events]
        if self.is_frozen:
            self.waiting = (self.waiting + entries)[-(self.state.log.maxlen or 1) :]
            self.header.frozen = len(self.waiting)
            return
        self.hand_out(entries)

    def on_snapshot_taken(self, message: SnapshotTaken) -> None:
        """The tables as they are now."""
        if self.is_frozen or not self.is_up:
            return
        had_alerts = bool(self.state.alerts)
        self.state.take_snapshot(message.snapshot)
        if had_alerts != bool(self.state.alerts):
            self.refresh_bindings()
        self.show()

    def on_resources_tab_crumbs(self) -> None:
        """Where one is has changed."""
        self.show_crumbs()
        self.refresh_bindings()

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide what cannot be done here; grey out what cannot be done now."""
        tab = self.shown_tab
        if action == "ask":
            if self.options.read_only or tab is None or str(parameters[0]) not in tab.verbs:
                return False
            return None if self.state.is_away else True
        if action in _TABS_OF:
            return isinstance(tab, _TABS_OF[action])
        if action == "alert":
            return True if self.state.alerts else None
        return True

    async def _check_bindings(self, key: str, priority: bool = False) -> bool:  # noqa: FBT001, FBT002 - Textual's own
        """Do what a key is for before the next key is looked at, unless text is being typed.

        Textual sends a key through the queues of the focused part and all around it first, and the
        keys behind it as well: what is typed in one go after `/` would all run as actions.
        """
        if await super()._check_bindings(key, priority):
            return True
        if not priority or self.screen is not self.main_screen or isinstance(self.focused, Input):
            return False
        await super()._check_bindings(key)
        return True  # no part of this screen but a line of text has another use for a key

    async def run_action(
        self,
        action: "str | ActionParseResult",
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Do what a key is for, or say in a word why it does nothing here."""
        is_done = await super().run_action(action, default_namespace, namespaces)
        if not is_done and self.is_up and isinstance(action, str):
            _, name, parameters = parse(action)
            words = self._why_not(name, parameters)
            if words:
                self.notify(words, markup=False, timeout=3)
        return is_done

    def _why_not(self, name: str, parameters: tuple[object, ...]) -> str:
        """Why a key has no effect on this tab now; nothing where there is nothing to say."""
        if name == "alert":
            return self._why_no_alerts()
        if name != "ask":
            tabs = [kind.__name__.removesuffix("Tab") for kind in _TABS_OF.get(name, ())]
            return f"{name.replace('_', ' ')}: on {' and '.join(tabs)} only" if tabs else ""
        verb = str(parameters[0])
        if self.options.read_only:
            return f"{verb}: this is read only"
        if self.state.is_away:
            return f"{verb}: the database is away"
        tabs = [one.id or "" for one in self.main_screen.query(Tab) if verb in one.verbs]
        return f"{verb}: on {' and '.join(TABS[tab][0] for tab in tabs)} only"

    def _why_no_alerts(self) -> str:
        if self.state.is_away:
            return "alert: the database is away"
        snapshot = self.state.snapshot
        if snapshot is None:
            return "alert: not read yet"
        return "no alerts: all is well" if snapshot.counted else "no alerts so far: still counting"

    def get_key_display(self, binding: Binding) -> str:
        """How a key is named: in ASCII mode by its letters."""
        shown_as = super().get_key_display(binding)
        return shown_as if not self.options.ascii or shown_as.isascii() else binding.key

    # Acting

    def action_ask(self, verb: str) -> None:
        """Do something to what is chosen, after asking."""
        self.operator.ask(verb)

    def on_action_done(self, message: ActionDone) -> None:
        """Say what was done, and read again."""
        severity = "information" if message.is_ok else "warning"
        self.notify(shown(message.text), severity=severity, markup=False)
        table = self.resources.table
        if table is not None:
            table.unmark()
        self.resources.read_soon(at_once=True)
        self.feed.refresh()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Textual's own, and what the keys of the tab can do."""
        yield from super().get_system_commands(screen)
        for verb in VERBS:
            if self.check_action("ask", (verb,)):
                run = partial(self.operator.ask, verb)
                yield SystemCommand(f"{verb.capitalize()} what is chosen", "asks first", run)
        yield SystemCommand("Freeze or catch up", "the whole screen", self.action_freeze)
