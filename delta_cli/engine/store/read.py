"""Read resources, counts and workers, for clients and operators."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from psycopg import IsolationLevel
from psycopg.rows import class_row

from delta_cli.engine.database import Connection
from delta_cli.engine.errors import NotFound
from delta_cli.engine.model.fleet import QuotaRow, WorkerRow
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.model.status import KindStatus, Status
from delta_cli.engine.queries import gauge as gauge_queries
from delta_cli.engine.queries import resource as queries
from delta_cli.engine.queries import worker as worker_queries
from delta_cli.engine.statements import Statement, Steps
from delta_cli.engine.states import ResourceState
from delta_cli.engine.store import pauses
from delta_cli.engine.store.rows import resource_row


@dataclass(frozen=True, slots=True)
class ResourceFilter:
    """Which resources; None means any. `tags`: those that carry all of them."""

    kind: str | None = None
    namespace: str | None = None
    states: Sequence[ResourceState] | None = None
    tags: Sequence[str] | None = None
    object_ids: Sequence[str] | None = None


@asynccontextmanager
async def snapshot(connection: Connection) -> AsyncIterator[None]:
    """What is read inside is of one moment."""
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    try:
        async with connection.transaction():
            yield
    finally:
        if not connection.closed:
            await connection.set_isolation_level(None)


async def page(
    connection: Connection, chosen: ResourceFilter, *, after_id: int, limit: int
) -> list[ResourceRow]:
    """The next resources in the order of their ids."""
    cursor = await connection.execute(
        queries.PAGE,
        {
            "after_id": after_id,
            "kind": chosen.kind,
            "namespace": chosen.namespace,
            "states": None if chosen.states is None else [state.value for state in chosen.states],
            "tags": None if chosen.tags is None else list(chosen.tags),
            "object_ids": None if chosen.object_ids is None else list(chosen.object_ids),
            "limit": limit,
        },
        binary=True,
    )
    return [resource_row(row) for row in await cursor.fetchall()]


def get_steps(kind: str, namespace: str, object_id: str) -> Steps[ResourceRow]:
    """One resource by its key. Raises NotFound."""
    rows = yield Statement(
        queries.GET, {"kind": kind, "namespace": namespace, "object_id": object_id}
    )
    if not rows:
        raise NotFound(f"there is no resource {kind}/{object_id} in namespace {namespace!r}")
    return resource_row(rows[0])


async def counts(connection: Connection) -> list[KindStatus]:
    """Resources by kind, namespace and state."""
    cursor = await connection.execute(queries.COUNTS)
    states: dict[tuple[str, str], dict[ResourceState, int]] = {}
    due: dict[tuple[str, str], int] = {}
    oldest: dict[tuple[str, str], datetime | None] = {}
    paused: dict[tuple[str, str], bool] = {}
    for kind, namespace, state, count, due_count, oldest_due_at, held in await cursor.fetchall():
        lane = (kind, namespace)
        paused[lane] = held
        states.setdefault(lane, {})[ResourceState(state)] = count
        due[lane] = due.get(lane, 0) + due_count
        times = [at for at in (oldest.get(lane), oldest_due_at) if at is not None]
        oldest[lane] = min(times, default=None)
    return [
        KindStatus(*lane, lane_states, due[lane], oldest[lane], paused[lane])
        for lane, lane_states in states.items()
    ]


async def status(connection: Connection, schema: str) -> Status:
    """The whole system; of one moment inside a `snapshot`."""
    return Status(
        at=await now(connection),
        schema=schema,
        kinds=await counts(connection),
        workers=await workers(connection),
        pauses=await pauses.in_force(connection),
        workers_lost=await workers_lost(connection),
    )


async def unfinished(
    connection: Connection,
    kinds: Sequence[str],
    namespaces: Sequence[str] | None,
    worker_id: int,
    *,
    informs: bool,
) -> bool:
    """Whether anything of these kinds is due now and not paused, or being worked.

    `informs`: also whether any is being reported, or is due to be.
    """
    cursor = await connection.execute(
        queries.UNFINISHED,
        {
            "kinds": list(kinds),
            "namespaces": list(namespaces) if namespaces else None,
            "worker_id": worker_id,
            "informs": informs,
        },
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def workers(connection: Connection, *, ended: bool = False) -> list[WorkerRow]:
    """The workers that are there; with `ended`, also those that stopped or were lost."""
    async with connection.cursor(row_factory=class_row(WorkerRow)) as cursor:
        await cursor.execute(worker_queries.LIST, {"ended": ended})
        return await cursor.fetchall()


async def workers_lost(connection: Connection) -> int:
    """How many workers were lost within a day."""
    row = await (await connection.execute(worker_queries.LOST_OF_LATE)).fetchone()
    return row[0] if row else 0


async def quotas(connection: Connection) -> list[QuotaRow]:
    """The limits across the fleet, and how much of each is granted and used."""
    async with connection.cursor(row_factory=class_row(QuotaRow)) as cursor:
        await cursor.execute(gauge_queries.QUOTAS)
        return await cursor.fetchall()


async def now(connection: Connection) -> datetime:
    """The database's clock."""
    row = await (await connection.execute(queries.NOW)).fetchone()
    assert row is not None
    return row[0]
