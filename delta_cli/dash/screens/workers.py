"""The tab Workers: who is there, how it fares, and what it holds."""

from textual.app import ComposeResult
from textual.widgets import Static

from delta_cli.dash.actions import Plan, plan_worker
from delta_cli.dash.screens.tab import Tab
from delta_cli.dash.screens.worker_rows import ALL_COLUMNS, worker_rows, worker_text
from delta_cli.dash.widgets.keyed_table import KeyedTable


class WorkersTab(Tab):
    """Each worker that is there, or ended a moment ago."""

    main = "workers-table"
    verbs = ("pause", "resume")

    def compose(self) -> ComposeResult:
        """The workers, and below them all of one."""
        yield KeyedTable(
            ALL_COLUMNS,
            id="workers-table",
            glyphs=self.glyphs,
            empty="no workers run: start some with delta run",
        )
        yield Static(id="worker-more")

    def show_state(self) -> None:
        """Show the workers."""
        snapshot, now = self.state.snapshot, self.state.now
        if snapshot is None or now is None:
            return
        table = self.query_one("#workers-table", KeyedTable)
        table.set_rows(worker_rows(snapshot, now, self.state))
        there = [one for one in snapshot.workers if one.is_there]
        in_flight = sum(one.in_flight for one in there)
        capacity = sum(one.capacity for one in there)
        table.border_title = f"Workers {self.glyphs.separator} {in_flight}/{capacity} in flight"
        self._show_one()

    def on_keyed_table_moved(self) -> None:
        """Another worker: all of it."""
        self._show_one()

    def _show_one(self) -> None:
        snapshot, now = self.state.snapshot, self.state.now
        if snapshot is None or now is None:
            return
        key = self.query_one("#workers-table", KeyedTable).cursor_key
        one = next((worker for worker in snapshot.workers if str(worker.id) == key), None)
        more = self.query_one("#worker-more", Static)
        more.display = one is not None
        if one is not None:
            more.border_title = f"Worker {one.id}"
            more.update(worker_text(one, snapshot, now))

    def plan(self, verb: str) -> Plan | None:
        """Pause or resume the worker under the cursor."""
        key = self.query_one("#workers-table", KeyedTable).cursor_key
        snapshot = self.state.snapshot
        if verb not in self.verbs or not key or snapshot is None:
            return None
        return plan_worker(verb, key, snapshot.workers)
