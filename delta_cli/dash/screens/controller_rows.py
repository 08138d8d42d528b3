"""Controllers, the runs of their informers, and namespaces as rows of tables."""

from datetime import datetime
from functools import partial
from typing import Final

from delta_cli.dash.snapshot import Snapshot
from delta_cli.dash.tones import Piece, Tone
from delta_cli.dash.widgets.columns import Column
from delta_cli.dash.widgets.rows import Cells, Row
from delta_cli.dash.words import age, clock, count, moment, pause_words, shown, since, until
from delta_cli.engine.model.fleet import ControllerRow, NamespaceRow
from delta_cli.engine.model.inform import InformRun, InformRunState
from delta_cli.engine.model.pause import PauseScope

CONTROLLER_COLUMNS: Final = (
    Column("kind", "KIND", 12, most=40, first=36),
    Column("state", "STATE", 8),
    Column("interval", "EVERY", 6, right=True),
    Column("next", "NEXT", 10, right=True),
    Column("failures", "FAILS", 5, right=True),
    Column("watermark", "WATERMARK", 21, drop=3),
    Column("run", "LAST RUN", 16, drop=2),
    Column("counts", "SEEN/NEW/CHANGED", 20, right=True, drop=5, most=30),
    Column("parallelism", "PARALLEL", 8, right=True),
    Column("fleet", "FLEET", 6, right=True, drop=4),
    Column("pause", "PAUSED", 22, drop=6, most=80),
    Column("error", "LAST ERROR", 12, drop=3, most=400),
)
RUN_COLUMNS: Final = (
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
    Column("by", "BY", 12, drop=3, most=30),
    Column("error", "ERROR", 10, drop=1, most=400),
)
NAMESPACE_COLUMNS: Final = (
    Column("name", "NAMESPACE", 12, most=40, first=24),
    Column("ttl", "TTL", 7, right=True),
    Column("max", "MAX", 6, right=True),
    Column("fleet", "FLEET", 6, right=True),
    Column("pause", "PAUSED", 22, drop=1, most=80),
)
_RUN_TONES: Final = {
    InformRunState.SUCCEEDED: Tone.OK,
    InformRunState.FAILED: Tone.BAD,
    InformRunState.RUNNING: Tone.BUSY,
}


def controller_row(
    one: ControllerRow, ended: InformRun | None, snapshot: Snapshot, now: datetime
) -> Row:
    """A controller as a row. `ended`: the newest run of its informer that has."""
    state = _state(one, ended)
    well = state[1] is Tone.OK
    error = None if well or ended is None else ended.error
    values = {
        "kind": one.kind,
        "interval": one.inform_interval_s,
        "next": one.inform_due_at,
        "failures": one.inform_failures,
        "watermark": one.last_inform_time,
        "parallelism": one.parallelism,
        "pause": pause_words(snapshot.pause_of(PauseScope.KIND, one.kind), now) or None,
        "error": error,
    }
    cells = partial(_controller_cells, one, snapshot, now, state, error)
    return Row(one.kind, cells, " " if well else "!", values=values)


def _state(one: ControllerRow, ended: InformRun | None) -> Piece:
    if one.inform_failures:
        return "failing", Tone.BAD
    if ended is not None and ended.counts.refused:
        return "refusing", Tone.WARN
    return "well", Tone.OK


def _controller_cells(
    one: ControllerRow, snapshot: Snapshot, now: datetime, state: Piece, error: str | None
) -> Cells:
    last = next((run for run in snapshot.runs if run.kind == one.kind), None)
    failing = one.inform_failures > 0
    pause = snapshot.pause_of(PauseScope.KIND, one.kind)
    return {
        "kind": (shown(one.kind), Tone.PLAIN),
        "state": ("paused", Tone.WARN) if one.paused else state,
        "interval": (age(one.inform_interval_s), Tone.MUTED),
        "next": (until(one.inform_due_at, now), Tone.PLAIN),
        "failures": (str(one.inform_failures), Tone.BAD if failing else Tone.MUTED),
        "watermark": (moment(one.last_inform_time), Tone.PLAIN),
        "run": _last_run(last, now),
        "counts": (_counts(last), Tone.PLAIN),
        "parallelism": (str(one.parallelism), Tone.PLAIN),
        "fleet": (count(one.fleet_parallelism), Tone.PLAIN),
        "pause": (pause_words(pause, now), Tone.WARN),
        "error": (shown(error), state[1] if error else Tone.MUTED),
    }


def _last_run(run: InformRun | None, now: datetime) -> Piece:
    if run is None:
        return "-", Tone.MUTED
    ended = run.finished_at or run.started_at or run.created_at
    return f"{run.state} {since(ended, now)}", _run_tone(run)


def _run_tone(run: InformRun) -> Tone:
    """A run is well if it succeeded and all that it listed was stored."""
    tone = _RUN_TONES.get(run.state, Tone.PLAIN)
    return Tone.WARN if tone is Tone.OK and run.counts.refused else tone


def _counts(run: InformRun | None) -> str:
    if run is None:
        return "-"
    return f"{run.counts.seen:,}/{run.counts.created:,}/{run.counts.updated:,}"


def run_row(run: InformRun, now: datetime) -> Row:
    """A run of an informer as a row."""
    sign = "!" if run.state is InformRunState.FAILED or run.counts.refused else " "
    values = {"id": run.id, "at": run.started_at, "by": run.requested_by, "error": run.error}
    return Row(str(run.id), partial(_run_cells, run, now), sign, values=values)


def _run_cells(run: InformRun, now: datetime) -> Cells:
    end = run.finished_at or now
    took = None if run.started_at is None else (end - run.started_at).total_seconds()
    numbers = {
        name: (count(getattr(run.counts, name)), Tone.PLAIN)
        for name in ("seen", "created", "updated", "unchanged", "stale", "skipped", "refused")
    }
    return numbers | {
        "id": (str(run.id), Tone.MUTED),
        "at": (clock(run.started_at), Tone.PLAIN),
        "state": (run.state.value, _run_tone(run)),
        "took": (age(took), Tone.PLAIN),
        "by": (shown(run.requested_by), Tone.MUTED),
        "error": (shown(run.error), Tone.WARN if run.error else Tone.MUTED),
    }


def namespace_row(one: NamespaceRow, snapshot: Snapshot, now: datetime) -> Row:
    """A namespace as a row."""
    values = {
        "name": one.name,
        "pause": pause_words(snapshot.pause_of(PauseScope.NAMESPACE, one.name), now) or None,
    }
    return Row(one.name, partial(_namespace_cells, one, snapshot, now), values=values)


def _namespace_cells(one: NamespaceRow, snapshot: Snapshot, now: datetime) -> Cells:
    pause = snapshot.pause_of(PauseScope.NAMESPACE, one.name)
    return {
        "name": (shown(one.name), Tone.PLAIN),
        "ttl": (age(one.expiry_ttl_s), Tone.PLAIN),
        "max": (count(one.max_workers), Tone.PLAIN),
        "fleet": (count(one.fleet_max_workers), Tone.PLAIN),
        "pause": (pause_words(pause, now), Tone.WARN),
    }
