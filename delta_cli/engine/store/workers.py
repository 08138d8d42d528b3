"""The worker's own row: register, heartbeat, stop."""

from collections.abc import Sequence
from dataclasses import dataclass

from delta_cli.engine.database import Connection
from delta_cli.engine.queries import worker as queries


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """What a worker says of itself when it registers."""

    host: str
    pid: int
    version: str
    kinds: Sequence[str]
    namespaces: Sequence[str] | None
    capacity: int
    heartbeat_interval_s: float


@dataclass(frozen=True, slots=True)
class WorkerVitals:
    """What a worker says of itself with each heartbeat. Counts are since it started."""

    draining: bool
    in_flight: int
    synced: int
    failed: int
    deleted: int
    last_error: str | None
    claim_age_s: float | None
    listener_lag_ms: float | None


async def register(connection: Connection, identity: WorkerIdentity) -> int:
    """Begin to work. Returns the worker's id."""
    cursor = await connection.execute(
        queries.REGISTER,
        {
            "host": identity.host,
            "pid": identity.pid,
            "version": identity.version,
            "kinds": list(identity.kinds),
            "namespaces": list(identity.namespaces) if identity.namespaces else None,
            "capacity": identity.capacity,
            "heartbeat_interval_s": identity.heartbeat_interval_s,
        },
    )
    row = await cursor.fetchone()
    assert row is not None
    return row[0]


async def heartbeat(connection: Connection, worker_id: int, vitals: WorkerVitals) -> str | None:
    """Still here. Returns the state that the fleet holds us in; None when our row is gone."""
    cursor = await connection.execute(
        queries.HEARTBEAT,
        {
            "id": worker_id,
            "draining": vitals.draining,
            "in_flight": vitals.in_flight,
            "synced": vitals.synced,
            "failed": vitals.failed,
            "deleted": vitals.deleted,
            "last_error": vitals.last_error,
            "claim_age_s": vitals.claim_age_s,
            "listener_lag_ms": vitals.listener_lag_ms,
        },
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def stop(connection: Connection, worker_id: int) -> None:
    """The work has ended."""
    await connection.execute(queries.STOP, {"id": worker_id})
