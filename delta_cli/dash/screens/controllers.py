"""The tab Controllers: the kinds with their informers and limits, and the last runs of one."""

from datetime import datetime
from typing import Final

from textual.app import ComposeResult
from textual.content import Content

from delta_cli.dash.actions import Plan, Thing
from delta_cli.dash.screens.tab import Tab
from delta_cli.dash.snapshot import Snapshot
from delta_cli.dash.tones import Piece, Tone
from delta_cli.dash.widgets.keyed_table import Column, KeyedTable, Row
from delta_cli.dash.words import age, clock, count, moment, shown, since, until
from delta_cli.engine.model import (
    ControllerRow,
    InformRun,
    InformRunState,
    NamespaceRow,
    Pause,
    PauseScope,
)

COLUMNS: Final = (
    Column("kind", "KIND", 12, grows=True),
    Column("state", "STATE", 8),
    Column("interval", "EVERY", 6, right=True),
    Column("next", "NEXT", 9, right=True),
    Column("failures", "FAILS", 5, right=True),
    Column("watermark", "WATERMARK", 21, drop=3),
    Column("run", "LAST RUN", 20, drop=2),
    Column("parallelism", "PARALLEL", 8, right=True),
    Column("fleet", "FLEET", 6, right=True, drop=4),
    Column("pause", "PAUSED", 22, drop=5),
)
RUNS: Final = (
    Column("id", "RUN", 8, right=True, drop=4),
    Column("at", "STARTED", 9),
    Column("state", "STATE", 10),
    Column("took", "TOOK", 6, right=True),
    Column("seen", "SEEN", 9, right=True),
    Column("created", "NEW", 8, right=True),
    Column("updated", "CHANGED", 8, right=True),
    Column("unchanged", "SAME", 9, right=True, drop=2),
    Column("stale", "STALE", 6, right=True, drop=6),
    Column("skipped", "SKIP", 6, right=True, drop=6),
    Column("refused", "REFUSED", 7, right=True, drop=5),
    Column("by", "BY", 12, drop=3),
    Column("error", "ERROR", 10, drop=1, grows=True),
)
NAMESPACES: Final = (
    Column("name", "NAMESPACE", 12, grows=True),
    Column("ttl", "TTL", 7, right=True),
    Column("max", "MAX", 6, right=True),
    Column("fleet", "FLEET", 6, right=True),
    Column("pause", "PAUSED", 22, drop=1),
)
_RUN_TONES: Final = {
    InformRunState.SUCCEEDED: Tone.OK,
    InformRunState.FAILED: Tone.BAD,
    InformRunState.RUNNING: Tone.BUSY,
}


class ControllersTab(Tab):
    """The kinds; below, the runs of the one under the cursor, and the namespaces."""

    main = "controllers-table"
    verbs = ("pause", "resume")

    def compose(self) -> ComposeResult:
        """Three tables."""
        glyphs = self.glyphs
        yield KeyedTable(
            COLUMNS, id="controllers-table", glyphs=glyphs, empty="no controller has registered yet"
        )
        yield KeyedTable(RUNS, id="inform-runs", glyphs=glyphs, empty="no runs yet")
        yield KeyedTable(NAMESPACES, id="namespaces", glyphs=glyphs, empty="no namespaces yet")

    def show_state(self) -> None:
        """Show them."""
        snapshot, now = self.state.snapshot, self.state.now
        if snapshot is None or now is None:
            return
        table = self.query_one("#controllers-table", KeyedTable)
        table.set_rows([_row(one, snapshot, now) for one in snapshot.controllers])
        table.border_title = f"Controllers {self.glyphs.separator} {len(snapshot.controllers)}"
        names = self.query_one("#namespaces", KeyedTable)
        names.set_rows([_namespace_row(one, snapshot, now) for one in snapshot.namespaces])
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
        runs.set_rows([_run_row(run, now) for run in snapshot.runs if run.kind == kind])
        runs.border_title = Content(f"Inform runs of {shown(kind)}")

    def plan(self, verb: str) -> Plan | None:
        """Pause or resume the kind or the namespace under the cursor."""
        table = self.table
        if verb not in self.verbs or table is None or not table.cursor_key:
            return None
        scope = PauseScope.NAMESPACE if table.id == "namespaces" else PauseScope.KIND
        if table.id == "inform-runs":
            return None
        return Plan(verb, thing=Thing(scope, table.cursor_key))


def _row(one: ControllerRow, snapshot: Snapshot, now: datetime) -> Row:
    last = next((run for run in snapshot.runs if run.kind == one.kind), None)
    failing = one.inform_failures > 0
    state: Piece = ("failing", Tone.BAD) if failing else ("well", Tone.OK)
    cells: dict[str, Piece] = {
        "kind": (shown(one.kind), Tone.PLAIN),
        "state": ("paused", Tone.WARN) if one.paused else state,
        "interval": (age(one.inform_interval_s), Tone.MUTED),
        "next": (until(one.inform_due_at, now), Tone.PLAIN),
        "failures": (str(one.inform_failures), Tone.BAD if failing else Tone.MUTED),
        "watermark": (moment(one.last_inform_time), Tone.PLAIN),
        "run": _last_run(last, now),
        "parallelism": (str(one.parallelism), Tone.PLAIN),
        "fleet": (count(one.fleet_parallelism), Tone.PLAIN),
        "pause": (_pause(snapshot.pause_of(PauseScope.KIND, one.kind), now), Tone.WARN),
    }
    values = {
        "kind": one.kind,
        "interval": one.inform_interval_s,
        "next": one.inform_due_at,
        "failures": one.inform_failures,
        "watermark": one.last_inform_time,
        "parallelism": one.parallelism,
    }
    return Row(one.kind, cells, "!" if failing else " ", values=values)


def _last_run(run: InformRun | None, now: datetime) -> Piece:
    if run is None:
        return "-", Tone.MUTED
    ended = run.finished_at or run.started_at or run.created_at
    return f"{run.state} {since(ended, now)}", _RUN_TONES.get(run.state, Tone.PLAIN)


def _pause(pause: Pause | None, now: datetime) -> str:
    if pause is None:
        return ""
    lasting = "" if pause.until is None else f" for {until(pause.until, now)}"
    reason = "" if pause.reason is None else f": {shown(pause.reason)}"
    return f"by {shown(pause.actor)}{lasting}{reason}"


def _run_row(run: InformRun, now: datetime) -> Row:
    end = run.finished_at or now
    took = None if run.started_at is None else (end - run.started_at).total_seconds()
    counts = run.counts
    numbers = {
        name: (count(getattr(counts, name)), Tone.PLAIN)
        for name in ("seen", "created", "updated", "unchanged", "stale", "skipped", "refused")
    }
    cells: dict[str, Piece] = numbers | {
        "id": (str(run.id), Tone.MUTED),
        "at": (clock(run.started_at), Tone.PLAIN),
        "state": (run.state.value, _RUN_TONES.get(run.state, Tone.PLAIN)),
        "took": (age(took), Tone.PLAIN),
        "by": (shown(run.requested_by), Tone.MUTED),
        "error": (shown(run.error), Tone.WARN if run.error else Tone.MUTED),
    }
    return Row(str(run.id), cells, "!" if run.state is InformRunState.FAILED else " ")


def _namespace_row(one: NamespaceRow, snapshot: Snapshot, now: datetime) -> Row:
    cells: dict[str, Piece] = {
        "name": (shown(one.name), Tone.PLAIN),
        "ttl": (age(one.expiry_ttl_s), Tone.PLAIN),
        "max": (count(one.max_workers), Tone.PLAIN),
        "fleet": (count(one.fleet_max_workers), Tone.PLAIN),
        "pause": (_pause(snapshot.pause_of(PauseScope.NAMESPACE, one.name), now), Tone.WARN),
    }
    return Row(one.name, cells, values={"name": one.name})
