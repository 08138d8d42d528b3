"""Rows of the engine as what is printed: dictionaries of the shapes in `shapes.py`."""

from dataclasses import asdict
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from delta_cli.cli import shapes

if TYPE_CHECKING:  # declaring the commands must not load the engine
    from delta_cli.engine.changes import Change
    from delta_cli.engine.model.event import Event
    from delta_cli.engine.model.fleet import ControllerRow, NamespaceRow, WorkerRow
    from delta_cli.engine.model.inform import InformRun
    from delta_cli.engine.model.pause import Pause
    from delta_cli.engine.model.resource_row import AttemptError, ResourceRow
    from delta_cli.engine.model.status import KindStatus, Status
    from delta_cli.engine.model.tick import TickRow, TickRun

Values = dict[str, Any]

RESOURCE: Final = tuple(shapes.RESOURCE)
RESOURCE_TABLE: Final = (
    "id",
    "namespace",
    "kind",
    "object_id",
    "state",
    "attempt",
    "due_at",
    "synced_at",
    "error",
)
EVENT: Final = tuple(shapes.EVENT)
_EVENT_VALUES: Final = attrgetter(*EVENT)
TIMELINE_TABLE: Final = (
    "id",
    "at",
    "category",
    "state",
    "attempt",
    "worker",
    "duration_ms",
    "actor",
    "error",
)
WORKER: Final = tuple(shapes.WORKER)
CONTROLLER: Final = tuple(shapes.CONTROLLER)
CONTROLLER_TABLE: Final = tuple(name for name in CONTROLLER if name != "object_schema")
NAMESPACE: Final = tuple(shapes.NAMESPACE)
TICK: Final = tuple(shapes.TICK)
TICK_TABLE: Final = (
    "name",
    "interval_s",
    "last_success",
    "last_count",
    "count_key",
    "last_duration_ms",
    "next_due",
    "consecutive_failures",
    "last_error",
    "enabled",
    "paused",
    "holder",
)
TICK_RUN: Final = tuple(shapes.TICK_RUN)
PAUSE: Final = tuple(shapes.PAUSE)
INFORM_RUN: Final = tuple(shapes.INFORM_RUN)
INFORM_COUNTS: Final = tuple(shapes.INFORM_COUNTS)
WORKER_TABLE: Final = (
    "id",
    "host",
    "pid",
    "state",
    "paused",
    "kinds",
    "in_flight",
    "capacity",
    "heartbeat_age_s",
    "synced",
    "failed",
    "last_error",
)


def resource_record(row: "ResourceRow") -> Values:
    """All columns of a resource, without those of the drift."""
    record = {name: getattr(row, name) for name in RESOURCE}
    record["state"] = row.state.value
    record["errors"] = [attempt_error_record(error) for error in row.errors]
    return record


def resource_table_record(row: "ResourceRow") -> Values:
    """A resource for a table: the last error in place of all of them."""
    last = row.errors[-1] if row.errors else None
    record = {name: getattr(row, name, None) for name in RESOURCE_TABLE}
    record["state"] = row.state.value
    record["attempt"] = f"{row.attempt}/{row.max_attempts}"
    record["error"] = f"{last.error}: {last.message}" if last else None
    return record


def attempt_error_record(error: "AttemptError") -> Values:
    """One failed attempt."""
    return asdict(error)


def change_record(change: "Change") -> Values:
    """One difference between the last synced object and the desired one."""
    return asdict(change)


def event_record(event: "Event") -> Values:
    """One event of the log. Its category and state print as their values."""
    return dict(zip(EVENT, _EVENT_VALUES(event), strict=True))


def worker_record(worker: "WorkerRow") -> Values:
    """One `delta run` process."""
    record = {name: getattr(worker, name) for name in WORKER}
    return record | {"heartbeat_age_s": round(worker.heartbeat_age_s, 3)}


def worker_table_record(worker: "WorkerRow") -> Values:
    """A worker for a table: one that may be dead is not told to run."""
    record = worker_record(worker)
    return record | {"state": "silent"} if worker.silent and worker.is_there else record


def kind_record(kind: "KindStatus") -> Values:
    """How the resources of one kind and namespace stand."""
    return {
        "kind": kind.kind,
        "namespace": kind.namespace,
        "states": {state.value: count for state, count in kind.states.items()},
        "due": kind.due,
        "oldest_due_at": kind.oldest_due_at,
        "paused": kind.paused,
    }


def status_record(status: "Status") -> Values:
    """The whole system."""
    return {
        "at": status.at,
        "schema": status.schema,
        "states": {state.value: count for state, count in status.states.items()},
        "due": sum(kind.due for kind in status.kinds),
        "kinds": [kind_record(kind) for kind in status.kinds],
        "workers": [worker_record(worker) for worker in status.workers],
        "pauses": [pause_record(pause) for pause in status.pauses],
        "workers_lost": status.workers_lost,
    }


def controller_record(controller: "ControllerRow") -> Values:
    """One kind that has a controller."""
    return {name: getattr(controller, name) for name in CONTROLLER}


def namespace_record(namespace: "NamespaceRow") -> Values:
    """One namespace with its settings."""
    return {name: getattr(namespace, name) for name in NAMESPACE}


def pause_record(pause: "Pause") -> Values:
    """One thing that is paused."""
    return {name: getattr(pause, name) for name in PAUSE} | {"scope": pause.scope.value}


def tick_record(tick: "TickRow") -> Values:
    """One periodic service, without its last runs."""
    record = {name: getattr(tick, name) for name in TICK}
    reason = tick.last_skip_reason
    return record | {"last_skip_reason": None if reason is None else reason.value}


def tick_run_record(name: str, run: "TickRun") -> Values:
    """One run of the tick of that name; its outcome is null while it runs."""
    record = {"name": name} | {field: getattr(run, field) for field in TICK_RUN[1:]}
    return record | {"outcome": None if run.outcome is None else run.outcome.value}


def inform_run_record(run: "InformRun") -> Values:
    """One run of an informer, its counts beside its other columns."""
    record = {name: getattr(run, name) for name in INFORM_RUN if name not in INFORM_COUNTS}
    return record | {"state": run.state.value} | asdict(run.counts)
