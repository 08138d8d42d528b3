"""One bounded batch of each maintenance: each returns how many rows it moved."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, LiteralString

from psycopg.errors import InsufficientPrivilege

from delta_cli.engine.database import Connection
from delta_cli.engine.queries import event, inform_run, resource, work, worker


async def _count(
    connection: Connection, query: LiteralString, parameters: Mapping[str, Any]
) -> int:
    # Planned each time, for the table as it is: a plan that is kept may be of when it was small.
    cursor = await connection.execute(query, parameters, prepare=False)
    row = await cursor.fetchone()
    return row[0] if row else 0


async def mark_lost_workers(connection: Connection, *, lost_after: timedelta) -> list[int]:
    """Give up the workers that were silent for `lost_after`, and unlock what the lost keep locked.

    Returns the ids of those that were given up now.
    """
    cursor = await connection.execute(worker.MARK_LOST, {"lost_after": lost_after})
    lost = [row[0] for row in await cursor.fetchall()]
    # A server that does not let us must not keep us from rescuing all else.
    with suppress(InsufficientPrivilege):
        await _count(connection, worker.END_STUCK_SESSIONS, {})
    return lost


async def rescue_resources(connection: Connection, *, batch: int) -> int:
    """Return claims whose worker is lost or whose lease ran out."""
    return await _count(connection, work.RESCUE, {"batch": batch})


async def rescue_inform_runs(connection: Connection) -> int:
    """Queue again the inform runs whose worker is lost or whose lease ran out."""
    return await _count(connection, inform_run.RESCUE, {})


async def expire_resources(connection: Connection, *, batch: int) -> int:
    """Make synced resources due whose namespace's TTL has passed."""
    return await _count(connection, resource.EXPIRE, {"batch": batch})


async def clean_resources(
    connection: Connection,
    *,
    batch: int,
    synced: timedelta,
    degraded: timedelta,
    deleted: timedelta,
) -> int:
    """Remove resources past their retention; negative durations keep them for ever."""
    return await _count(
        connection,
        resource.CLEAN,
        {"batch": batch, "synced": synced, "degraded": degraded, "deleted": deleted},
    )


async def clean_events(connection: Connection, *, batch: int, retention: timedelta) -> int:
    """Remove events past their retention."""
    return await _count(connection, event.CLEAN, {"batch": batch, "retention": retention})


async def clean_workers(connection: Connection, *, batch: int, retention: timedelta) -> int:
    """Remove workers that ended longer ago than `retention`."""
    return await _count(connection, worker.CLEAN, {"batch": batch, "retention": retention})


async def clean_inform_runs(connection: Connection, *, batch: int, retention: timedelta) -> int:
    """Remove inform runs that ended longer ago than `retention`."""
    return await _count(connection, inform_run.CLEAN, {"batch": batch, "retention": retention})


async def queue_due_informs(connection: Connection, *, jitter: timedelta) -> int:
    """Queue a run for each kind whose inform interval has passed."""
    return await _count(connection, inform_run.QUEUE_DUE, {"jitter": jitter})


async def adopt(connection: Connection, *, batch: int) -> int:
    """Schedule the resources of kinds that had no controller until now."""
    return await _count(connection, resource.ADOPT, {"batch": batch})
