"""The test's own look at the database, past the engine."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.support.waiting import eventually


class Observer:
    """A connection in autocommit that sees what others see, on Delta's schema."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self.connection = connection

    @classmethod
    async def connect(cls, dsn: str) -> "Observer":
        connection = await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, options="-c search_path=delta,public"
        )
        return cls(connection)

    async def rows(self, query: LiteralString, *values: Any) -> list[tuple[Any, ...]]:
        return await (await self.connection.execute(query, values or None)).fetchall()

    async def value(self, query: LiteralString, *values: Any) -> Any:
        """The first column of the first row; None when there is none."""
        rows = await self.rows(query, *values)
        return rows[0][0] if rows else None

    async def do(self, query: LiteralString, *values: Any) -> int:
        """Change rows. Returns how many."""
        return (await self.connection.execute(query, values or None)).rowcount

    async def resource(self, object_id: str, namespace: str = "default") -> dict[str, Any]:
        """The columns of one resource."""
        async with self.connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                # Python has no infinity, which is the lease of a work without a time limit.
                "select id, namespace, kind, object_id, state::text, generation, synced_generation,"
                " term, attempt, max_attempts, sync_count, due_at,"
                " nullif(lease_until, 'infinity') as lease_until, worker_id, updated_at, synced_at,"
                " object, last_synced_object, claimed_object, errors"
                " from delta_resource where object_id = %s and namespace = %s",
                (object_id, namespace),
            )
            row = await cursor.fetchone()
        assert row is not None, f"there is no resource {object_id}"
        return row

    async def states(self) -> dict[str, int]:
        """How many resources are in each state."""
        rows = await self.rows("select state::text, count(*) from delta_resource group by 1")
        return dict(rows)

    async def until_state(self, object_id: str, state: str, *, within: float = 30.0) -> Any:
        """Wait until a resource is in a state. Returns its columns."""

        async def reached() -> dict[str, Any] | None:
            row = await self.resource(object_id)
            return row if row["state"] == state else None

        return await eventually(reached, within=within)

    async def until_all(self, state: str, count: int, *, within: float = 40.0) -> None:
        """Wait until all resources, `count` of them, are in one state."""

        async def reached() -> bool:
            return await self.states() == {state: count}

        await eventually(reached, within=within)

    async def events(self, *categories: str) -> Sequence[tuple[str, str, str]]:
        """Category, object id and state of the events, in order."""
        return await self.rows(
            "select category::text, object_id, state::text from delta_event"
            " where %s::text[] is null or category::text = any(%s::text[]) order by id",
            list(categories) or None,
            list(categories) or None,
        )


@pytest.fixture
async def observer(dsn: str) -> AsyncGenerator[Observer]:
    """A look at the database of `dsn`."""
    observer = await Observer.connect(dsn)
    yield observer
    await observer.connection.close()
