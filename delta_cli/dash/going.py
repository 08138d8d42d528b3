"""Going places: tabs, filters, single resources, alerts; and back again."""

from delta_cli.dash.base import DashBase
from delta_cli.dash.filters import parse
from delta_cli.dash.screens.reader import ReaderScreen
from delta_cli.dash.snapshot import Alert
from delta_cli.dash.widgets.event_log import EventLog
from delta_cli.dash.widgets.keyed_table import KeyedTable
from delta_cli.dash.widgets.tab_bar import TabBar
from delta_cli.engine.store.overview import Line


class Going(DashBase):
    """Where one is, and how one gets elsewhere."""

    def go_to_tab(self, tab: str) -> None:
        """Show a tab."""
        self.history.visit(tab)
        self.switch_to(tab)

    def go_to_filter(self, text: str, *, then: str | None = None) -> None:
        """The list of what a filter lets through."""
        self.go_to_tab("resources")
        self.resources.filter_by(parse(text), then=then)

    def go_to_line(self, line: Line) -> None:
        """One resource of a list."""
        self._go_to_resource(line.kind, line.namespace, line.object_id, line.id)

    def go_to_alert(self, alert: Alert) -> None:
        """Where an alert is."""
        self.go_to_tab(alert.tab)
        self.tab.go_to(alert.key)

    def on_tab_bar_chosen(self, message: TabBar.Chosen) -> None:
        """A tab was clicked."""
        self.go_to_tab(message.tab)

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
                self.read_row(message.table)

    def read_row(self, table: KeyedTable) -> None:
        """All of the row under the cursor, its error to the end."""
        text = table.row_text()
        if text:
            self.push_screen(ReaderScreen(str(table.border_title or ""), text))

    def on_event_log_opened(self, message: EventLog.Opened) -> None:
        """Enter on an event: to its resource."""
        event = message.event
        self._go_to_resource(event.kind, event.namespace, event.object_id, event.resource_id)

    def _go_to_resource(self, kind: str, namespace: str, object_id: str, resource_id: int) -> None:
        self.go_to_filter(f"kind:{kind} ns:{namespace} {object_id}", then=str(resource_id))

    # Keys

    def action_tab(self, tab: str) -> None:
        """Show a tab."""
        self.go_to_tab(tab)

    def action_leave(self) -> None:
        """One step back: out of a zoom, a detail, a filter, or to the overview."""
        if self.main_screen.maximized is not None:
            self.main_screen.minimize()
        elif not self.tab.leave() and self.tab.id != "overview":
            self.go_to_tab("overview")

    def action_history(self, by: int) -> None:
        """The place before or after."""
        tab = self.history.go(by)
        if tab is not None:
            self.switch_to(tab)

    def action_alert(self) -> None:
        """Go to the next alert."""
        alert = self.state.next_alert()
        if alert is not None:
            self.go_to_alert(alert)
