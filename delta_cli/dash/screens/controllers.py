"""The tab Controllers: the kinds with their informers and limits, and the last runs of one."""

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content

from delta_cli.dash.actions import Plan, Thing
from delta_cli.dash.screens.controller_rows import (
    CONTROLLER_COLUMNS,
    NAMESPACE_COLUMNS,
    RUN_COLUMNS,
    controller_row,
    namespace_row,
    run_row,
)
from delta_cli.dash.screens.tab import Tab
from delta_cli.dash.snapshot import ended_runs
from delta_cli.dash.widgets.keyed_table import KeyedTable
from delta_cli.dash.words import shown
from delta_cli.engine.model.pause import PauseScope


class ControllersTab(Tab):
    """The kinds; below, the runs of the one under the cursor, and the namespaces."""

    main = "controllers-table"
    verbs = ("pause", "resume")

    def compose(self) -> ComposeResult:
        """Three tables."""
        glyphs = self.glyphs
        none = "no controller has registered yet"
        yield KeyedTable(CONTROLLER_COLUMNS, id="controllers-table", glyphs=glyphs, empty=none)
        with Container(id="below-controllers"):
            yield KeyedTable(RUN_COLUMNS, id="inform-runs", glyphs=glyphs, empty="no runs yet")
            none = "no namespaces yet"
            yield KeyedTable(NAMESPACE_COLUMNS, id="namespaces", glyphs=glyphs, empty=none)

    def show_state(self) -> None:
        """Show them."""
        snapshot, now = self.state.snapshot, self.state.now
        if snapshot is None or now is None:
            return
        table = self.query_one("#controllers-table", KeyedTable)
        ended = ended_runs(snapshot)
        table.set_rows(
            [
                controller_row(one, ended.get(one.kind), snapshot, now)
                for one in snapshot.controllers
            ]
        )
        table.border_title = f"Controllers {self.glyphs.separator} {len(snapshot.controllers)}"
        names = self.query_one("#namespaces", KeyedTable)
        names.set_rows([namespace_row(one, snapshot, now) for one in snapshot.namespaces])
        names.border_title = "Namespaces"
        self._show_runs()

    def on_keyed_table_moved(self, message: KeyedTable.Moved) -> None:
        """Another kind: its runs."""
        if message.table.id == "controllers-table":
            self._show_runs()

    def _show_runs(self) -> None:
        snapshot, now = self.state.snapshot, self.state.now
        if snapshot is None or now is None:
            return
        kind = self.query_one("#controllers-table", KeyedTable).cursor_key
        runs = self.query_one("#inform-runs", KeyedTable)
        runs.set_rows([run_row(run, now) for run in snapshot.runs if run.kind == kind])
        runs.border_title = Content(f"Inform runs of {shown(kind)}")

    def go_to(self, key: str) -> None:
        """Put the cursor on a kind, or else on a namespace."""
        if not self.query_one("#controllers-table", KeyedTable).move_to(key):
            names = self.query_one("#namespaces", KeyedTable)
            if names.move_to(key):
                names.focus()

    def plan(self, verb: str) -> Plan | None:
        """Pause or resume the kind or the namespace under the cursor."""
        table = self.table
        if verb not in self.verbs or table is None or not table.cursor_key:
            return None
        scope = PauseScope.NAMESPACE if table.id == "namespaces" else PauseScope.KIND
        if table.id == "inform-runs":
            return None
        return Plan(verb, thing=Thing(scope, table.cursor_key))
