"""Ticks and their runs as rows of tables."""

from datetime import datetime
from functools import partial
from typing import Final

from delta_cli.dash.snapshot import Snapshot, is_overdue, is_unwell, overdue_s
from delta_cli.dash.tones import Piece, Tone
from delta_cli.dash.widgets.columns import Column
from delta_cli.dash.widgets.rows import Cells, Row
from delta_cli.dash.words import age, clock, count, milliseconds, shown, since, until
from delta_cli.engine.model.tick import TickOutcome, TickRow, TickRun

TICK_COLUMNS: Final = (
    Column("name", "TICK", 10, most=30, first=20),
    Column("success", "LAST OK", 7, right=True),
    Column("failure", "FAILED", 6, right=True, drop=2),
    Column("failures", "FAILS", 5, right=True),
    Column("next", "NEXT", 10, right=True),
    Column("error", "LAST ERROR", 10, drop=1, most=400),
)
ALL_COLUMNS: Final = (
    Column("name", "TICK", 12, most=40, first=32),
    Column("interval", "EVERY", 6, right=True, drop=4),
    Column("state", "STATE", 8),
    Column("success", "LAST OK", 7, right=True),
    Column("failure", "FAILED", 6, right=True),
    Column("failures", "FAILS", 5, right=True),
    Column("count", "COUNT", 14, right=True, drop=5, most=20),
    Column("took", "TOOK", 7, right=True, drop=3),
    Column("next", "NEXT", 10, right=True),
    Column("overdue", "OVERDUE", 7, right=True, drop=7),
    Column("holder", "HOLDER", 12, drop=6, most=24),
    Column("skip", "LAST SKIP", 18, drop=8),
    Column("error", "LAST ERROR", 12, drop=1, most=400),
)
RUN_COLUMNS: Final = (
    Column("at", "STARTED", 9),
    Column("age", "AGO", 6, right=True),
    Column("outcome", "OUTCOME", 8),
    Column("took", "TOOK", 7, right=True),
    Column("count", "COUNT", 14, right=True, most=30),
    Column("holder", "HOLDER", 20, drop=2),
    Column("run", "RUN", 12, drop=3),
    Column("error", "ERROR", 12, most=400, drop=1),
)


def tick_rows(snapshot: Snapshot, now: datetime) -> list[Row]:
    """A row for each tick, those with a problem signed."""
    return [_row(tick, now) for tick in snapshot.ticks]


def state_of(tick: TickRow, now: datetime) -> Piece:
    """A tick's state in a word."""
    if tick.paused:
        return "paused", Tone.WARN
    if not tick.enabled:
        return "off", Tone.MUTED
    if tick.holder is not None:
        return "running", Tone.BUSY
    if is_overdue(tick, now):
        return "overdue", Tone.BAD
    return ("failing", Tone.BAD) if tick.consecutive_failures else ("well", Tone.OK)


def _row(tick: TickRow, now: datetime) -> Row:
    values = {
        "name": tick.name,
        "interval": tick.interval_s,
        "success": tick.last_success,
        "failure": tick.last_failure,
        "failures": tick.consecutive_failures,
        "took": tick.last_duration_ms,
        "next": tick.next_due,
        "overdue": overdue_s(tick, now),
        "holder": tick.holder,
        "error": tick.last_error,
    }
    return Row(
        tick.name, partial(_cells, tick, now), "!" if is_unwell(tick, now) else " ", values=values
    )


def _cells(tick: TickRow, now: datetime) -> Cells:
    late_s = overdue_s(tick, now)
    failing = Tone.BAD if tick.consecutive_failures else Tone.MUTED
    skipped = "-"
    if tick.last_skip is not None:
        skipped = f"{since(tick.last_skip, now)} {tick.last_skip_reason}"
    return {
        "name": (shown(tick.name), Tone.PLAIN),
        "interval": (age(tick.interval_s), Tone.MUTED),
        "state": state_of(tick, now),
        "success": (since(tick.last_success, now), Tone.OK),
        "failure": (since(tick.last_failure, now), Tone.PLAIN),
        "failures": (str(tick.consecutive_failures), failing),
        "count": (_counted(tick.last_count, tick.count_key), Tone.PLAIN),
        "took": (milliseconds(tick.last_duration_ms), Tone.PLAIN),
        "next": ("paused", Tone.WARN) if tick.paused else (until(tick.next_due, now), Tone.PLAIN),
        "overdue": (age(late_s) if late_s else "-", Tone.BAD if late_s else Tone.MUTED),
        "holder": (shown(tick.holder), Tone.PLAIN),
        "skip": (skipped, Tone.MUTED),
        "error": (shown(tick.last_error), failing),
    }


def run_rows(tick: TickRow, now: datetime) -> list[Row]:
    """A row for each of a tick's last runs."""
    return [_run_row(run, now) for run in tick.runs]


def _run_row(run: TickRun, now: datetime) -> Row:
    sign = "!" if run.outcome is TickOutcome.FAILED else " "
    return Row(f"{run.run_id} {run.started_at}", partial(_run_cells, run, now), sign)


def _run_cells(run: TickRun, now: datetime) -> Cells:
    tones = {TickOutcome.SUCCESS: Tone.OK, TickOutcome.FAILED: Tone.BAD}
    outcome = "running" if run.outcome is None else run.outcome.value
    tone = Tone.BUSY if run.outcome is None else tones.get(run.outcome, Tone.MUTED)
    return {
        "at": (clock(run.started_at), Tone.PLAIN),
        "age": (since(run.started_at, now), Tone.MUTED),
        "outcome": (outcome, tone),
        "took": (milliseconds(run.duration_ms), Tone.PLAIN),
        "count": (_counted(run.count, run.count_key), Tone.PLAIN),
        "holder": (shown(run.holder), Tone.MUTED),
        "run": (shown(run.run_id), Tone.MUTED),
        "error": (shown(run.error), Tone.WARN if run.error else Tone.MUTED),
    }


def _counted(number: int | None, key: str | None) -> str:
    return count(number) if number is None or key is None else f"{number:,} {shown(key)}"
