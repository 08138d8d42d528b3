"""Resources as rows of a list."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final

from delta_cli.dash.filters import Filter
from delta_cli.dash.tones import OF_STATE, Tone
from delta_cli.dash.widgets.columns import Column
from delta_cli.dash.widgets.rows import Cells, Row
from delta_cli.dash.words import shown, since, until
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.states import ResourceState
from delta_cli.engine.store.overview import Line

_COLUMNS: Final = (
    Column("state", "STATE", 10),
    Column("kind", "KIND", 10, drop=3, most=30),
    Column("namespace", "NS", 8, drop=4, most=20),
    Column("object_id", "OBJECT ID", 12, most=80, first=36, ends=True),
    Column("attempt", "ATT", 5, right=True),
    Column("updated", "AGE", 6, right=True),
    Column("due", "DUE", 10, right=True, drop=6),
    Column("synced", "SYNCED", 6, right=True, drop=5),
    Column("worker", "WORKER", 7, right=True, drop=7),
    Column("error", "ERROR", 12, drop=1, most=400),
)


#: Where several kinds or namespaces are listed, an error gives way to what tells rows apart.
_APART: Final = {"kind": (10, 1), "namespace": (8, 2), "error": (8, 3)}


def columns(chosen: Filter, lines: Sequence[Line] = ()) -> Sequence[Column]:
    """The columns of a list of these lines: without those that would say the same on every one."""
    same = {"kind"} if chosen.wanted.kind is not None else set[str]()
    if chosen.wanted.namespace is not None:
        same.add("namespace")
    apart = set[str]()
    if len({line.kind for line in lines}) > 1:
        apart |= {"kind", "error"}
    if len({line.namespace for line in lines}) > 1:
        apart |= {"namespace", "error"}
    return [_needed(one) if one.key in apart else one for one in _COLUMNS if one.key not in same]


def _needed(column: Column) -> Column:
    width, drop = _APART[column.key]
    return replace(column, width=width, drop=drop)


def as_read(line: Line, row: ResourceRow) -> Line:
    """A line as its resource was read later than its list."""
    return replace(
        line,
        state=row.state,
        generation=row.generation,
        attempt=row.attempt,
        due_at=row.due_at,
        updated_at=row.updated_at,
        synced_at=row.synced_at,
        worker_id=row.worker_id,
    )


def resource_row(line: Line, now: datetime) -> Row:
    """A resource as a row."""
    values = {
        "state": line.state.value,
        "kind": line.kind,
        "namespace": line.namespace,
        "object_id": line.object_id,
        "attempt": line.attempt,
        "updated": line.updated_at,
        "due": line.due_at,
        "synced": line.synced_at,
        "worker": line.worker_id,
        "error": _error(line) or None,
    }
    sign = "!" if line.state is ResourceState.DEGRADED else " "
    return Row(str(line.id), partial(_cells, line, now), sign, values=values)


def _error(line: Line) -> str:
    """What went wrong last, what it said first: that tells more than what it is."""
    if line.error is None:
        return ""
    return f"{line.message} ({line.error})" if line.message else line.error


def _cells(line: Line, now: datetime) -> Cells:
    error = _error(line)
    worker = "-" if line.worker_id is None else f"w{line.worker_id}"
    return {
        "state": (line.state.value + ("~" if line.drifted else ""), OF_STATE[line.state]),
        "kind": (shown(line.kind), Tone.PLAIN),
        "namespace": (shown(line.namespace), Tone.MUTED),
        "object_id": (shown(line.object_id), Tone.PLAIN),
        "attempt": (f"{line.attempt}/{line.max_attempts}", Tone.PLAIN),
        "updated": (since(line.updated_at, now), Tone.PLAIN),
        "due": (until(line.due_at, now), Tone.PLAIN),
        "synced": (since(line.synced_at, now), Tone.MUTED),
        "worker": (worker, Tone.MUTED),
        "error": (shown(error), Tone.WARN if error else Tone.MUTED),
    }
