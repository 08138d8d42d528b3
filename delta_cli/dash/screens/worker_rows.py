"""Workers as rows of a table."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Final

from rich.text import Text

from delta_cli.dash.snapshot import Snapshot
from delta_cli.dash.state import State
from delta_cli.dash.tones import Piece, Tone, text_of
from delta_cli.dash.widgets.columns import Column
from delta_cli.dash.widgets.rows import Cells, Row
from delta_cli.dash.words import age, count, pause_words, short_count, shown, since
from delta_cli.engine.model.fleet import WorkerRow
from delta_cli.engine.model.pause import PauseScope

WORKER_COLUMNS: Final = (
    Column("id", "ID", 5, right=True),
    Column("host", "HOST", 8, drop=2, most=24),
    Column("beat", "BEAT", 5, right=True),
    Column("in_flight", "INFL/MAX", 8, right=True),
    Column("rate", "/min", 5, right=True, drop=3),
    Column("state", "STATE", 8),
    Column("error", "LAST ERROR", 10, drop=1, most=400),
)
ALL_COLUMNS: Final = (
    Column("id", "ID", 5, right=True),
    Column("host", "HOST", 10, most=30),
    Column("pid", "PID", 8, right=True, drop=6),
    Column("version", "VERSION", 9, drop=8),
    Column("state", "STATE", 9),
    Column("beat", "BEAT", 6, right=True),
    Column("in_flight", "INFL/MAX", 9, right=True),
    Column("oldest", "OLDEST", 6, right=True, drop=4),
    Column("rate", "/min", 6, right=True, drop=3),
    Column("synced", "SYNCED", 11, right=True, drop=5),
    Column("failed", "FAIL%", 6, right=True, drop=5),
    Column("grants", "GRANTS", 12, drop=7, most=40),
    Column("kinds", "KINDS", 14, drop=9, most=40),
    Column("started", "UP", 6, right=True, drop=10),
    Column("error", "LAST ERROR", 10, drop=1, most=400),
)


def worker_rows(snapshot: Snapshot, now: datetime, state: State) -> list[Row]:
    """A row for each worker, those with a problem signed and first, those that stopped last."""
    ordered = sorted(snapshot.workers, key=lambda one: (not one.silent, not one.is_there, one.id))
    return [_row(worker, snapshot, now, state) for worker in ordered]


def state_of(worker: WorkerRow, snapshot: Snapshot) -> Piece:
    """A worker's state in a word: silent and paused are told before running."""
    if worker.state in ("stopped", "lost"):
        return worker.state, Tone.BAD if worker.state == "lost" else Tone.MUTED
    if worker.silent:
        return "silent", Tone.BAD
    if snapshot.pause_of(PauseScope.WORKER, str(worker.id)) is not None:
        return "paused", Tone.WARN
    return worker.state, Tone.OK if worker.state == "running" else Tone.WARN


def _row(worker: WorkerRow, snapshot: Snapshot, now: datetime, state: State) -> Row:
    values = {
        "id": worker.id,
        "host": worker.host,
        "state": state_of(worker, snapshot)[0],
        "beat": _beat_s(worker, now),
        "in_flight": worker.in_flight,
        "rate": state.rates.per_minute(worker.id),
        "synced": worker.synced,
        "grants": " ".join(_grants(snapshot, worker.id)),
        "kinds": " ".join(worker.kinds),
        "started": worker.started_at,
        "error": worker.last_error,
    }
    make_cells = partial(_cells, worker, snapshot, now, state)
    return Row(str(worker.id), make_cells, "!" if worker.silent else " ", values=values)


def _beat_s(worker: WorkerRow, now: datetime) -> float:
    return max(0.0, (now - worker.heartbeat_at).total_seconds())


def _up_s(worker: WorkerRow, now: datetime) -> float:
    """How long a worker has been there; one that ended, until it was last heard of."""
    end = now if worker.is_there else worker.heartbeat_at
    return max(0.0, (end - worker.started_at).total_seconds())


def _life(worker: WorkerRow, now: datetime) -> str:
    lasted = age(_up_s(worker, now))
    if worker.is_there:
        return f"up {lasted}"
    ended = "last heard of" if worker.state == "lost" else "ended"
    return f"ran {lasted}, {ended} {since(worker.heartbeat_at, now)} ago"


def _cells(worker: WorkerRow, snapshot: Snapshot, now: datetime, state: State) -> Cells:
    works = worker.synced + worker.failed + worker.deleted
    oldest = min(
        (lane.oldest for lane in snapshot.pending if lane.worker_id == worker.id), default=None
    )
    rate = state.rates.per_minute(worker.id)
    return {
        "id": (str(worker.id), Tone.PLAIN),
        "host": (shown(worker.host), Tone.PLAIN),
        "pid": (str(worker.pid), Tone.MUTED),
        "version": (shown(worker.version), Tone.MUTED),
        "state": state_of(worker, snapshot),
        "beat": (age(_beat_s(worker, now)), Tone.BAD if worker.silent else Tone.OK),
        "in_flight": (f"{worker.in_flight}/{worker.capacity}", Tone.PLAIN),
        "oldest": (since(oldest, now), Tone.PLAIN),
        "rate": ("-" if rate is None else short_count(round(rate)), Tone.PLAIN),
        "synced": (count(worker.synced), Tone.PLAIN),
        "failed": (f"{100 * worker.failed / works:.1f}" if works else "-", Tone.PLAIN),
        "grants": (shown(" ".join(_grants(snapshot, worker.id))), Tone.PLAIN),
        "kinds": (shown(" ".join(worker.kinds)), Tone.MUTED),
        "started": (age(_up_s(worker, now)), Tone.MUTED),
        "error": (shown(worker.last_error), Tone.WARN if worker.last_error else Tone.MUTED),
    }


def worker_text(worker: WorkerRow, snapshot: Snapshot, now: datetime) -> Text:
    """All of one worker, for the place below the table."""
    pause = snapshot.pause_of(PauseScope.WORKER, str(worker.id))
    lanes = [lane for lane in snapshot.pending if lane.worker_id == worker.id]
    works_on = "  ".join(
        f"{shown(lane.kind)} in {shown(lane.namespace)}: {lane.resources:,}"
        f" (oldest {since(lane.oldest, now)})"
        for lane in lanes
    )
    namespaces = "all" if worker.namespaces is None else shown(" ".join(worker.namespaces))
    facts = {
        "process": f"{shown(worker.host)}:{worker.pid}, version {shown(worker.version)}, "
        f"{_life(worker, now)}",
        "kinds": shown(" ".join(worker.kinds)),
        "namespaces": namespaces,
        "works on": works_on or "nothing",
        "grants": "  ".join(shown(grant) for grant in _grants(snapshot, worker.id)) or "-",
        "counters": f"{worker.synced:,} synced  {worker.failed:,} failed  "
        f"{worker.deleted:,} deleted",
        "paused": pause_words(pause, now) or "no",
    }
    pieces = [piece for name, words in facts.items() for piece in _fact(name, words)]
    pieces += [(f"{'last error':<12}", Tone.MUTED), (shown(worker.last_error), Tone.WARN)]
    return text_of(pieces)


def _fact(name: str, words: str) -> list[Piece]:
    return [(f"{name:<12}", Tone.MUTED), (f"{words}\n", Tone.PLAIN)]


def _grants(snapshot: Snapshot, worker_id: int) -> Sequence[str]:
    return [
        f"{grant.name}:{grant.used}/{grant.granted}"
        for grant in snapshot.grants
        if grant.worker_id == worker_id
    ]
