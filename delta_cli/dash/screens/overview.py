"""The tab Overview: states by kind with trends, rates, workers, ticks, and the log of events."""

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from delta_cli.dash.actions import Plan, Thing, plan_worker
from delta_cli.dash.event_lines import Entry
from delta_cli.dash.glyphs import bars
from delta_cli.dash.log_reading import LOG_LINES
from delta_cli.dash.screens.kind_rows import ALONE, BESIDE_RATES, kind_rows
from delta_cli.dash.screens.overview_health import health_text
from delta_cli.dash.screens.tab import Tab
from delta_cli.dash.screens.tick_rows import TICK_COLUMNS, tick_rows
from delta_cli.dash.screens.worker_rows import WORKER_COLUMNS, worker_rows
from delta_cli.dash.snapshot import fleet_words
from delta_cli.dash.state import State
from delta_cli.dash.tones import Piece, Tone, text_of
from delta_cli.dash.trends import FAILED, SYNCED
from delta_cli.dash.widgets.event_log import EventLog
from delta_cli.dash.widgets.keyed_table import KeyedTable
from delta_cli.dash.words import age, milliseconds
from delta_cli.engine.model.event import EventCategory
from delta_cli.engine.model.pause import PauseScope


class OverviewTab(Tab):
    """How everything stands."""

    main = "kinds"
    verbs = ("tick", "pause", "resume")

    def compose(self) -> ComposeResult:
        """The panels."""
        glyphs = self.glyphs
        with Horizontal(id="overview-top"):
            yield KeyedTable(BESIDE_RATES, id="kinds", glyphs=glyphs, empty="no resources yet")
            yield Static(id="rates")
        yield Static(id="health")
        with Horizontal(id="overview-middle"):
            yield KeyedTable(
                WORKER_COLUMNS, id="few-workers", glyphs=glyphs, empty="no workers run"
            )
            yield KeyedTable(TICK_COLUMNS, id="few-ticks", glyphs=glyphs, empty="no ticks yet")
        yield EventLog(glyphs=glyphs, id="overview-log", ring=LOG_LINES)

    def on_mount(self) -> None:
        """Name the panels."""
        self.query_one("#kinds").border_title = "States by kind"
        self.query_one("#rates").border_title = "Rates, 15 min"
        self.query_one("#health").border_title = "Health"
        self._log.load(self.state.log)

    @property
    def _log(self) -> EventLog:
        return self.query_one("#overview-log", EventLog)

    def take(self, entries: Sequence[Entry]) -> None:
        """More of the log."""
        self._log.add(entries)

    def show_state(self) -> None:
        """Show it all."""
        snapshot, now = self.state.snapshot, self.state.now
        if snapshot is None or now is None:
            return
        kinds = self.query_one("#kinds", KeyedTable)
        columns = ALONE if self.screen.has_class("-narrow") else BESIDE_RATES
        if kinds.columns is not columns:
            kinds.set_columns(columns)
        kinds.set_rows(kind_rows(snapshot, now, self.state))
        old = f", up to {age(snapshot.counts_age_s)} old" if snapshot.counts_age_s > 2 else ""  # noqa: PLR2004
        kinds.border_subtitle = f"counted{old}" if snapshot.counted else "counting"
        self.query_one("#rates", Static).update(_rates(self.state, now))
        health = self.query_one("#health", Static)
        health.update(health_text(self.state, health.content_size.width))
        self.query_one("#few-workers", KeyedTable).set_rows(worker_rows(snapshot, now, self.state))
        self.query_one("#few-ticks", KeyedTable).set_rows(tick_rows(snapshot, now))
        self.query_one("#few-workers").border_title = f"Workers {fleet_words(snapshot)}"
        self.query_one("#few-ticks").border_title = "Ticks"

    def on_event_log_placed(self, message: EventLog.Placed) -> None:
        """Say whether the log follows."""
        message.log.border_title = f"Events {self.glyphs.separator} {message.place.words}"

    def plan(self, verb: str) -> Plan | None:
        """Pause or resume the kind, worker or tick under the cursor."""
        table = self.table
        snapshot = self.state.snapshot
        if table is None or not table.cursor_key or snapshot is None:
            return None
        scopes = {"kinds": PauseScope.KIND, "few-workers": PauseScope.WORKER}
        scope = scopes.get(table.id or "", PauseScope.TICK)
        if verb == "tick" and scope is not PauseScope.TICK:
            return None
        if scope is PauseScope.WORKER:
            return plan_worker(verb, table.cursor_key, snapshot.workers)
        return Plan(verb, thing=Thing(scope, table.cursor_key))


def _rates(state: State, now: datetime) -> Text:
    trends, signs = state.trends, state.glyphs.bars
    rows = (
        ("synced", Tone.OK, (SYNCED,)),
        ("failed", Tone.WARN, (FAILED,)),
        ("deleted", Tone.MUTED, (EventCategory.OBJECT_DELETED,)),
        ("all", Tone.BUSY, tuple(EventCategory)),
    )
    pieces: list[Piece] = []
    for name, tone, categories in rows:
        line = bars(trends.minutes(now, categories), signs)
        pieces += [(f"{name + '/s':<10}{trends.rate(now, *categories):>7.1f} ", Tone.PLAIN)]
        pieces += [(line + "\n", tone)]
    took = trends.durations
    pieces.append((f"work p50 {milliseconds(took.p50)} p95 {milliseconds(took.p95)}", Tone.PLAIN))
    pieces.append((f" max {milliseconds(took.longest)}\n", Tone.PLAIN))
    snapshot = state.snapshot
    if snapshot is not None:
        in_flight = sum(lane.resources for lane in snapshot.pending)
        due = sum(one.due for one in snapshot.kinds)
        pieces.append((f"in flight {in_flight:,}  due {due:,}\n", Tone.PLAIN))
        pieces.append((f"newest event {state.newest:,}", Tone.MUTED))
    return text_of(pieces)
