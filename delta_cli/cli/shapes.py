"""The shapes of JSON: each command's names and types, which `delta help shapes` shows.

They only grow. Types: `int`, `number`, `string`, `bool`, `time` (RFC 3339, UTC) and `json` (any
value); `?`: may be null; `[int]`: an array; `{int}`: an object of such values by name.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

Shape: TypeAlias = Mapping[str, str]

ATTEMPT_ERROR: Final[Shape] = {
    "attempt": "int",
    "at": "time",
    "error": "string",
    "message": "string",
    "trace": "string?",
    "worker_id": "int?",
}
CHANGE: Final[Shape] = {"path": "string", "old": "json", "new": "json"}
RESOURCE: Final[Shape] = {
    "id": "int",
    "namespace": "string",
    "kind": "string",
    "object_id": "string",
    "state": "string",
    "generation": "int",
    "synced_generation": "int?",
    "term": "int",
    "attempt": "int",
    "max_attempts": "int",
    "sync_count": "int",
    "priority": "int",
    "due_at": "time?",
    "lease_until": "time?",
    "worker_id": "int?",
    "created_at": "time",
    "updated_at": "time",
    "attempted_at": "time?",
    "synced_at": "time?",
    "external_created_at": "time?",
    "object": "json",
    "hash": "string",
    "last_synced_object": "json",
    "metadata": "json",
    "tags": "[string]",
    "errors": "[ATTEMPT_ERROR]",
}
EVENT: Final[Shape] = {
    "id": "int",
    "at": "time",
    "category": "string",
    "namespace": "string",
    "kind": "string",
    "object_id": "string",
    "state": "string",
    "attempt": "int",
    "max_attempts": "int",
    "generation": "int",
    "sync_count": "int",
    "worker": "int?",
    "duration_ms": "number?",
    "error": "string?",
    "actor": "string?",
}
FOUND: Final[Shape] = {**RESOURCE, "changes": "[CHANGE]", "timeline": "[EVENT]"}
WORKER: Final[Shape] = {
    "id": "int",
    "host": "string",
    "pid": "int",
    "version": "string",
    "state": "string",
    "kinds": "[string]",
    "namespaces": "[string]?",
    "in_flight": "int",
    "capacity": "int",
    "heartbeat_at": "time",
    "heartbeat_age_s": "number",
    "started_at": "time",
    "synced": "int",
    "failed": "int",
    "deleted": "int",
    "last_error": "string?",
    "paused": "bool",
    "silent": "bool",
}
KIND: Final[Shape] = {
    "kind": "string",
    "namespace": "string",
    "states": "{int}",
    "due": "int",
    "oldest_due_at": "time?",
    "paused": "bool",
}
STATUS: Final[Shape] = {
    "at": "time",
    "schema": "string",
    "states": "{int}",
    "due": "int",
    "kinds": "[KIND]",
    "workers": "[WORKER]",
    "pauses": "[PAUSE]",
    "workers_lost": "int",
}
CONTROLLER: Final[Shape] = {
    "kind": "string",
    "inform_interval_s": "number?",
    "last_inform_time": "time?",
    "inform_due_at": "time?",
    "inform_failures": "int",
    "parallelism": "int",
    "fleet_parallelism": "int?",
    "object_schema": "json",
    "registered_at": "time",
    "paused": "bool",
}
NAMESPACE: Final[Shape] = {
    "name": "string",
    "expiry_ttl_s": "number?",
    "max_workers": "int?",
    "fleet_max_workers": "int?",
    "synced_retention_s": "number?",
    "degraded_retention_s": "number?",
    "deleted_retention_s": "number?",
    "created_at": "time",
    "updated_at": "time",
    "paused": "bool",
}
TICK: Final[Shape] = {
    "name": "string",
    "interval_s": "number",
    "lock_id": "int",
    "enabled": "bool",
    "last_start": "time?",
    "last_success": "time?",
    "last_failure": "time?",
    "last_error": "string?",
    "consecutive_failures": "int",
    "last_skip": "time?",
    "last_skip_reason": "string?",
    "last_count": "int?",
    "count_key": "string?",
    "last_duration_ms": "number?",
    "next_due": "time?",
    "holder": "string?",
    "paused": "bool",
}
FORCED_TICK: Final[Shape] = {**TICK, "outcome": "string?"}
TICK_RUN: Final[Shape] = {
    "name": "string",
    "run_id": "string",
    "outcome": "string?",
    "holder": "string",
    "started_at": "time",
    "finished_at": "time?",
    "duration_ms": "number?",
    "count": "int?",
    "count_key": "string?",
    "error": "string?",
}
PAUSE: Final[Shape] = {
    "scope": "string",
    "name": "string",
    "reason": "string?",
    "actor": "string?",
    "created_at": "time",
    "until": "time?",
}
INFORM_COUNTS: Final[Shape] = {
    "seen": "int",
    "created": "int",
    "updated": "int",
    "unchanged": "int",
    "stale": "int",
    "skipped": "int",
    "refused": "int",
}
INFORM_RUN: Final[Shape] = {
    "id": "int",
    "kind": "string",
    "state": "string",
    "after": "time?",
    "limit": "int?",
    "labels": "{string}",
    "order_by": "string?",
    "process_existing": "bool",
    "requested_by": "string",
    "worker_id": "int?",
    "error": "string?",
    "created_at": "time",
    "started_at": "time?",
    "finished_at": "time?",
    **INFORM_COUNTS,
}
REPAIRED: Final[Shape] = {
    "namespace": "string?",
    "kind": "string",
    "object_id": "string",
    "was": "string?",
    "state": "string?",
    "outcome": "string",
}
DRAINED: Final[Shape] = {"synced": "int", "failed": "int", "deleted": "int", "returned": "int"}
FINDING: Final[Shape] = {
    "name": "string",
    "verdict": "string",
    "detail": "string",
    "fix": "string?",
}
MIGRATION: Final[Shape] = {
    "version": "int",
    "name": "string",
    "state": "string",
    "applied_at": "time?",
    "duration_ms": "number?",
}
PENDING_MIGRATION: Final[Shape] = {"version": "int", "name": "string", "sql": "string"}
APPLIED: Final[Shape] = {"version": "int", "name": "string", "duration_ms": "number"}
SETTING: Final[Shape] = {"name": "string", "value": "json", "origin": "string"}
VERSION: Final[Shape] = {
    "delta": "string?",
    "python": "string",
    "psycopg": "string?",
    "libpq": "string",
    "textual": "string?",
    "output_shape": "int",
}
EMBEDDED: Final[Shape] = {
    "folder": "string",
    "running": "bool",
    "pid": "int?",
    "version": "string",
    "dsn": "string",
    "kept": "bool",
    "used": "bool",
    "size_bytes": "int",
}
DEMO: Final[Shape] = {
    "source": "string",
    "target": "string",
    "schema": "string",
    "namespace": "string",
    "files": "int",
    "refused": "int",
    "copied": "int",
    "compared": "int",
    "removed": "int",
    "failed": "int",
    "states": "{int}",
    "duration_s": "number",
    "copied_per_s": "number",
}
DASH_KIND: Final[Shape] = {
    "kind": "string",
    "states": "{int}",
    "due": "int",
    "oldest_due_at": "time?",
}
ALERT: Final[Shape] = {"tab": "string", "name": "string", "text": "string"}
DASH: Final[Shape] = {
    "at": "time",
    "kinds": "[DASH_KIND]",
    "in_flight": "int",
    "workers": "[WORKER]",
    "ticks": "[TICK]",
    "controllers": "[CONTROLLER]",
    "namespaces": "[NAMESPACE]",
    "informs": "[INFORM_RUN]",
    "pauses": "[PAUSE]",
    "alerts": "[ALERT]",
}
PROGRESS: Final[Shape] = {"progress": "string", "done": "int", "total": "int?"}

#: Those that stand inside others, by the name under which they stand there.
PARTS: Final[Mapping[str, Shape]] = {
    "ATTEMPT_ERROR": ATTEMPT_ERROR,
    "CHANGE": CHANGE,
    "EVENT": EVENT,
    "KIND": KIND,
    "WORKER": WORKER,
    "DASH_KIND": DASH_KIND,
    "ALERT": ALERT,
    "TICK": TICK,
    "CONTROLLER": CONTROLLER,
    "NAMESPACE": NAMESPACE,
    "INFORM_RUN": INFORM_RUN,
    "PAUSE": PAUSE,
}

#: What each command prints; those that begin with `[` as an array.
SHAPES: Final[Mapping[str, Shape]] = {
    "get": FOUND,
    "[list": RESOURCE,
    "[subscribe": EVENT,
    "status": STATUS,
    "[workers": WORKER,
    "[controllers": CONTROLLER,
    "[namespaces": NAMESPACE,
    "namespaces set": NAMESPACE,
    "[informs": INFORM_RUN,
    "run --drain": DRAINED,
    "inform KIND": INFORM_RUN,
    "inform KIND --file": INFORM_COUNTS,
    "[tick": TICK,
    "tick NAME": FORCED_TICK,
    "[tick --runs": TICK_RUN,
    "[pause": PAUSE,
    "pause WHAT NAME": PAUSE,
    "resume": PAUSE,
    "cancel": RESOURCE,
    "[invalidate": REPAIRED,
    "[retry": REPAIRED,
    "[delete": REPAIRED,
    "[migrate": APPLIED,
    "[migrate --dry-run": PENDING_MIGRATION,
    "[migrate status": MIGRATION,
    "[doctor": FINDING,
    "[config": SETTING,
    "db start": EMBEDDED,
    "db status": EMBEDDED,
    "demo": DEMO,
    "version": VERSION,
    "dash --once": DASH,
}


def described() -> str:
    """All of them, for people."""
    commands = [
        _section(f"delta {name.removeprefix('[')}", shape, is_list=name.startswith("["))
        for name, shape in SHAPES.items()
    ]
    parts = [_section(name, shape, is_list=False) for name, shape in PARTS.items()]
    return "\n\n".join([*commands, *parts, _section("progress on stderr", PROGRESS, is_list=False)])


def _section(title: str, shape: Shape, *, is_list: bool) -> str:
    head = f"{title}{': an array of objects' if is_list else ''}"
    return "\n".join([head, *(f"  {name:<21}{of}" for name, of in shape.items())])
