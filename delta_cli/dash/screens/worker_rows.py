"""Workers as rows of a table."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from delta_cli.dash.snapshot import Snapshot, is_silent
from delta_cli.dash.state import State
from delta_cli.dash.tones import Piece, Tone
from delta_cli.dash.widgets.keyed_table import Column, Row
from delta_cli.dash.words import age, count, shown, since
from delta_cli.engine.model import PauseScope, WorkerRow

WORKER_COLUMNS: Final = (
    Column("id", "ID", 5, right=True),
    Column("host", "HOST", 10, drop=2),
    Column("beat", "BEAT", 6, right=True),
    Column("in_flight", "INFL/MAX", 9, right=True),
    Column("rate", "/min", 6, right=True, drop=3),
    Column("state", "STATE", 9),
    Column("error", "LAST ERROR", 10, drop=1, grows=True),
)
ALL_COLUMNS: Final = (
    Column("id", "ID", 5, right=True),
    Column("host", "HOST", 14),
    Column("pid", "PID", 8, right=True, drop=6),
    Column("version", "VERSION", 9, drop=8),
    Column("state", "STATE", 9),
    Column("beat", "BEAT", 6, right=True),
    Column("in_flight", "INFL/MAX", 10, right=True),
    Column("oldest", "OLDEST", 7, right=True, drop=4),
    Column("rate", "/min", 7, right=True, drop=3),
    Column("synced", "SYNCED", 11, right=True, drop=5),
    Column("failed", "FAIL%", 6, right=True, drop=5),
    Column("grants", "GRANTS", 12, drop=7),
    Column("kinds", "KINDS", 14, drop=9),
    Column("started", "UP", 6, right=True, drop=10),
    Column("error", "LAST ERROR", 10, drop=1, grows=True),
)


def worker_rows(snapshot: Snapshot, now: datetime, state: State) -> list[Row]:
    """A row for each worker, those with a problem signed."""
    return [_row(worker, snapshot, now, state) for worker in snapshot.workers]


def state_of(worker: WorkerRow, snapshot: Snapshot) -> Piece:
    """A worker's state in a word: silent and paused are told before running."""
    if worker.state in ("stopped", "lost"):
        return worker.state, Tone.BAD if worker.state == "lost" else Tone.MUTED
    if is_silent(worker):
        return "silent", Tone.BAD
    if snapshot.pause_of(PauseScope.WORKER, str(worker.id)) is not None:
        return "paused", Tone.WARN
    return worker.state, Tone.OK if worker.state == "running" else Tone.WARN


def _row(worker: WorkerRow, snapshot: Snapshot, now: datetime, state: State) -> Row:
    beat_s = max(0.0, (now - worker.heartbeat_at).total_seconds())
    is_bad = is_silent(worker)
    works = worker.synced + worker.failed + worker.deleted
    oldest = min(
        (lane.oldest for lane in snapshot.pending if lane.worker_id == worker.id), default=None
    )
    rate = state.rates.per_minute(worker.id)
    cells: dict[str, Piece] = {
        "id": (str(worker.id), Tone.PLAIN),
        "host": (shown(worker.host), Tone.PLAIN),
        "pid": (str(worker.pid), Tone.MUTED),
        "version": (shown(worker.version), Tone.MUTED),
        "state": state_of(worker, snapshot),
        "beat": (age(beat_s), Tone.BAD if is_bad else Tone.OK),
        "in_flight": (f"{worker.in_flight}/{worker.capacity}", Tone.PLAIN),
        "oldest": (since(oldest, now), Tone.PLAIN),
        "rate": ("-" if rate is None else f"{rate:,.0f}", Tone.PLAIN),
        "synced": (count(worker.synced), Tone.PLAIN),
        "failed": (f"{100 * worker.failed / works:.1f}" if works else "-", Tone.PLAIN),
        "grants": (shown(" ".join(_grants(snapshot, worker.id))), Tone.PLAIN),
        "kinds": (shown(" ".join(worker.kinds)), Tone.MUTED),
        "started": (since(worker.started_at, now), Tone.MUTED),
        "error": (shown(worker.last_error), Tone.WARN if worker.last_error else Tone.MUTED),
    }
    values = {
        "id": worker.id,
        "host": worker.host,
        "state": cells["state"][0],
        "beat": beat_s,
        "in_flight": worker.in_flight,
        "rate": rate,
        "synced": worker.synced,
        "started": worker.started_at,
    }
    return Row(str(worker.id), cells, "!" if is_bad else " ", values=values)


def _grants(snapshot: Snapshot, worker_id: int) -> Sequence[str]:
    return [
        f"{grant.name}:{grant.used}/{grant.granted}"
        for grant in snapshot.grants
        if grant.worker_id == worker_id
    ]
