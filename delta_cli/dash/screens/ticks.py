"""The tab Ticks: the periodic services, and the last runs of the one under the cursor."""

from collections.abc import Collection

from textual.app import ComposeResult
from textual.content import Content

from delta_cli.dash.actions import Plan, plan_tick
from delta_cli.dash.screens.tab import Tab
from delta_cli.dash.screens.tick_rows import ALL_COLUMNS, RUN_COLUMNS, run_rows, tick_rows
from delta_cli.dash.state import State
from delta_cli.dash.widgets.keyed_table import KeyedTable
from delta_cli.dash.words import shown


class TicksTab(Tab):
    """Every tick with its health."""

    main = "ticks-table"
    verbs = ("tick", "pause", "resume")

    def __init__(self, state: State, own: Collection[str], *, id: str) -> None:  # noqa: A002
        """`own`: the ticks that this process can run."""
        super().__init__(state, id=id)
        self._own: Collection[str] = own

    def compose(self) -> ComposeResult:
        """The ticks, and the runs of one."""
        yield KeyedTable(
            ALL_COLUMNS, id="ticks-table", glyphs=self.glyphs, empty="no ticks: no worker ran yet"
        )
        yield KeyedTable(RUN_COLUMNS, id="tick-runs", glyphs=self.glyphs, empty="no runs yet")

    def show_state(self) -> None:
        """Show the ticks."""
        snapshot, now = self.state.snapshot, self.state.now
        if snapshot is None or now is None:
            return
        table = self.query_one("#ticks-table", KeyedTable)
        table.set_rows(tick_rows(snapshot, now))
        table.border_title = f"Ticks {self.glyphs.separator} {len(snapshot.ticks)}"
        self._show_runs()

    def on_keyed_table_moved(self, message: KeyedTable.Moved) -> None:
        """Another tick: its runs."""
        if message.table.id == "ticks-table":
            self._show_runs()

    def _show_runs(self) -> None:
        snapshot, now = self.state.snapshot, self.state.now
        chosen = self.query_one("#ticks-table", KeyedTable).cursor_key
        ticks = snapshot.ticks if snapshot is not None else ()
        tick = next((one for one in ticks if one.name == chosen), None)
        runs = self.query_one("#tick-runs", KeyedTable)
        if tick is None or now is None:
            runs.set_rows([])
            return
        runs.set_rows(run_rows(tick, now))
        runs.border_title = Content(f"Last runs of {shown(tick.name)}")

    def plan(self, verb: str) -> Plan | None:
        """Tick, pause or resume the one under the cursor."""
        table = self.query_one("#ticks-table", KeyedTable)
        if verb not in self.verbs or not table.cursor_key:
            return None
        return plan_tick(verb, table.cursor_key, self._own)
