"""Connections through a pooler such as PgBouncer, in whose transaction mode no setting outlives a
transaction and each transaction may be on another server session.

A statement outside a transaction is sent together with Delta's settings, as one implicit
transaction and in one round trip; a transaction begins with them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, LiteralString, Self

import psycopg
from psycopg import AsyncConnection, AsyncCursor, AsyncTransaction
from psycopg.pq import TransactionStatus
from psycopg.rows import Row, TupleRow

# The settings of `database.CONFIGURE` that the server takes within a transaction.
CONFIGURE_LOCALLY: Final[LiteralString] = """
select
    set_config('search_path', quote_ident(%(schema)s), true),
    set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true),
    set_config('jit', 'off', true),
    set_config('datestyle', 'ISO, YMD', true),
    set_config('intervalstyle', 'postgres', true),
    set_config('timezone', 'UTC', true)
"""

# The server session that answers; a pooler invents another number for its own connections.
SERVER_PID: Final[LiteralString] = """
select pg_backend_pid()
"""


class PooledCursor(AsyncCursor[Row]):
    """A cursor whose statements bring Delta's settings along."""

    async def execute(self, *args: Any, **kwargs: Any) -> Self:
        """As psycopg's; outside a transaction, in one of its own."""
        connection = self.connection
        idle = connection.info.transaction_status == TransactionStatus.IDLE
        if not idle or not isinstance(connection, PooledConnection):
            return await super().execute(*args, **kwargs)
        if not connection.knows_styles:
            async with connection.transaction():
                return await super().execute(*args, **kwargs)
        async with connection.pipeline():
            await AsyncCursor(connection).execute(CONFIGURE_LOCALLY, {"schema": connection.schema})
            await super().execute(*args, **kwargs)
        return self


class PooledConnection(AsyncConnection[TupleRow]):
    """A connection in autocommit whose server session may change between transactions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.schema: str = "delta"
        self.cursor_factory = PooledCursor

    def configure(self, schema: str) -> None:
        """Name Delta's schema. Nothing is prepared: that is of one server session."""
        self.schema = schema
        self.prepare_threshold = None

    @property
    def knows_styles(self) -> bool:
        """Whether psycopg reads times and durations outside a transaction of ours.

        It goes by the styles that the server tells of after a statement, and the server tells
        nothing of those that began and ended with it, as in a pipeline.
        """
        date_style = self.info.parameter_status("DateStyle") or ""
        interval_style = self.info.parameter_status("IntervalStyle")
        return date_style.startswith("ISO") and interval_style == "postgres"

    @asynccontextmanager
    async def transaction(self, *args: Any, **kwargs: Any) -> AsyncIterator[AsyncTransaction]:
        """As psycopg's; the outermost begins with Delta's settings."""
        outermost = self.info.transaction_status == TransactionStatus.IDLE
        async with super().transaction(*args, **kwargs) as transaction:
            if outermost:
                await AsyncCursor(self).execute(CONFIGURE_LOCALLY, {"schema": self.schema})
            yield transaction


async def is_pooled(connection: AsyncConnection[Any]) -> bool:
    """Whether a pooler stands between, in whichever mode."""
    cursor = await connection.execute(SERVER_PID)
    row = await cursor.fetchone()
    return row is not None and next(iter(row)) != connection.info.backend_pid


def is_pooled_sync(connection: psycopg.Connection[Any]) -> bool:
    """As `is_pooled`, for a sync connection."""
    row = connection.execute(SERVER_PID).fetchone()
    return row is not None and next(iter(row)) != connection.info.backend_pid
