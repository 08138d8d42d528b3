"""Reads resources in the order of a column, the database sorting them: a look at all of them."""

from typing import Final

from delta_cli.engine.database import Connection
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.queries import listing as queries
from delta_cli.engine.store.read import ResourceFilter
from delta_cli.engine.store.rows import resource_row

#: The columns that have an order: not those that hold lists or objects.
SORTABLE: Final = frozenset(
    {
        *("id", "generation", "synced_generation", "term", "attempt", "max_attempts"),
        *("sync_count", "priority", "worker_id"),
        *("namespace", "kind", "object_id", "state", "hash"),
        *("due_at", "lease_until", "created_at", "updated_at", "attempted_at", "synced_at"),
        "external_created_at",
    }
)


async def first_by(
    connection: Connection,
    chosen: ResourceFilter,
    column: str,
    *,
    descending: bool,
    after_id: int = 0,
    limit: int | None,
) -> list[ResourceRow]:
    """The first resources in the order of a SORTABLE column; those without a value come last.

    `limit` None: all of them. `chosen.object_ids` is not looked at.
    """
    cursor = await connection.execute(
        queries.FIRST,
        {
            "column": column,
            "descending": descending,
            "after_id": after_id,
            "kind": chosen.kind,
            "namespace": chosen.namespace,
            "states": None if chosen.states is None else [state.value for state in chosen.states],
            "tags": None if chosen.tags is None else list(chosen.tags),
            "limit": limit,
        },
        binary=True,
    )
    return [resource_row(row) for row in await cursor.fetchall()]
