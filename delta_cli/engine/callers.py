"""A caller's own psycopg connection, whose transaction Delta joins: whether it will do, and how.

Applications set up their connections for themselves: Django's come with cursors, loaders and rows
of its own. Delta's statements there go through psycopg's plain cursor, whatever the caller's is.

What the transaction itself meets, such as a deadlock, a serialization failure or a lost connection,
stays psycopg's error: the caller's own retries go by it.
"""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, LiteralString

import psycopg
from psycopg import AsyncConnection, AsyncCursor, Connection, Cursor, errors
from psycopg.adapt import AdaptersMap
from psycopg.pq import Format, PipelineStatus, TransactionStatus
from psycopg.rows import TupleRow, tuple_row
from psycopg.transaction import OutOfOrderTransactionNesting

from delta_cli.engine.errors import ConfigError
from delta_cli.engine.schema.names import migrate_command

# Begins the caller's transaction.
BEGIN: Final[LiteralString] = """
select
"""
# Delta's search path and UTC for the length of a caller's transaction, and back. In other zones
# Python's calendar lacks the first or the last moments that are stored.
ENTER_SCHEMA: Final[LiteralString] = """
select
    current_setting('search_path') as search_path,
    current_setting('timezone') as timezone,
    set_config('search_path', quote_ident(%(schema)s), true),
    set_config('timezone', 'UTC', true)
"""
LEAVE_SCHEMA: Final[LiteralString] = """
select
    set_config('search_path', %(search_path)s, true),
    set_config('timezone', %(timezone)s, true)
"""


# Connections that a call of Delta's is on, by their ids.
_joined: Final[dict[int, object]] = {}


class _PlainCursor(Cursor[TupleRow]):
    @property
    def adapters(self) -> AdaptersMap:
        return psycopg.adapters


class _AsyncPlainCursor(AsyncCursor[TupleRow]):
    @property
    def adapters(self) -> AdaptersMap:
        return psycopg.adapters


@asynccontextmanager
async def within(
    connection: AsyncConnection[Any], schema: str
) -> AsyncGenerator[AsyncCursor[TupleRow]]:
    """A cursor with Delta's search path, in UTC, inside a transaction or savepoint of the caller's.

    Whatever fails inside is rolled back to where the caller was; both settings are put back.
    Raises ConfigError for a connection that will not do, before anything is sent.
    """
    require_joinable(connection)
    with _joining(connection, schema):
        async with _AsyncPlainCursor(connection, row_factory=tuple_row) as cursor:
            cursor.format = Format.BINARY
            if not connection.autocommit:
                # If this is the caller's first statement, the block would else be the whole of the
                # transaction, and commit.
                await cursor.execute(BEGIN)
            async with connection.transaction():
                row = await (await cursor.execute(ENTER_SCHEMA, {"schema": schema})).fetchone()
                yield cursor
                await cursor.execute(LEAVE_SCHEMA, _as_before(row))


@contextmanager
def within_sync(connection: Connection[Any], schema: str) -> Generator[Cursor[TupleRow]]:
    """As `within`, for a sync connection."""
    require_joinable_sync(connection)
    with (
        _joining(connection, schema),
        _PlainCursor(connection, row_factory=tuple_row) as cursor,
    ):
        cursor.format = Format.BINARY
        if not connection.autocommit:
            cursor.execute(BEGIN)
        with connection.transaction():
            row = cursor.execute(ENTER_SCHEMA, {"schema": schema}).fetchone()
            yield cursor
            cursor.execute(LEAVE_SCHEMA, _as_before(row))


def _as_before(row: TupleRow | None) -> dict[str, str]:
    assert row is not None
    return {"search_path": row[0], "timezone": row[1]}


@contextmanager
def _joining(connection: AsyncConnection[Any] | Connection[Any], schema: str) -> Generator[None]:
    """Alone on the connection: another call there would take our savepoint for its own."""
    ours = object()
    # One step, whichever threads come at once.
    if _joined.setdefault(id(connection), ours) is not ours:
        raise _not_alone()
    try:
        yield
    except psycopg.Error as error:
        misuse = _misuse(error, connection, schema)
        if misuse is None:
            raise
        raise misuse from error
    finally:
        del _joined[id(connection)]


def _misuse(
    error: psycopg.Error, connection: AsyncConnection[Any] | Connection[Any], schema: str
) -> ConfigError | None:
    """What an error says of the connection that was given; None: it is the transaction's own."""
    if isinstance(error, OutOfOrderTransactionNesting):
        return _not_alone()
    if isinstance(error, errors.InFailedSqlTransaction):
        return _failed_transaction()
    if connection.closed and not connection.broken:
        return _closed()
    if isinstance(error, (errors.UndefinedTable, errors.UndefinedObject)):
        return ConfigError(
            f"connection leads to database {connection.info.dbname!r}, "
            f"which has no Delta in schema {schema!r}, or an older one",
            hint="connect to the client's own database, or migrate this one: "
            f"{migrate_command(schema)}",
        )
    return None


def _not_alone() -> ConfigError:
    return ConfigError(
        "connection is in use by another call at this moment",
        hint="one inform at a time on one connection: await each before the next, "
        "or give inform_many() all objects",
    )


def _failed_transaction() -> ConfigError:
    return ConfigError(
        "connection is in a failed transaction, where nothing can be stored",
        hint="roll it back first, or leave the transaction() block that failed",
    )


def _closed() -> ConfigError:
    return ConfigError("connection is closed", hint="give an open one, and close it after the call")


def require_joinable(connection: AsyncConnection[Any]) -> None:
    """Raises ConfigError for a connection whose transaction cannot be joined."""
    _check(connection, AsyncConnection, "SyncClient takes sync connections")


def require_joinable_sync(connection: Connection[Any]) -> None:
    """As `require_joinable`, for a sync connection."""
    _check(connection, Connection, "Client takes async connections")


def _check(connection: Any, wanted: type[Any], others: str) -> None:
    if not isinstance(connection, wanted):
        given = type(connection)
        raise ConfigError(
            f"connection must be a psycopg.{wanted.__name__}, "
            f"got a {given.__module__}.{given.__qualname__}",
            hint=f"give psycopg's own connection, not what wraps it; {others}",
        )
    # One that broke is told by psycopg, as whatever breaks under a statement.
    if connection.closed and not connection.broken:
        raise _closed()
    if connection.info.transaction_status == TransactionStatus.INERROR:
        raise _failed_transaction()
    # Inside a pipeline a statement's rows come later, and each of our steps goes by the last one's.
    if connection.info.pipeline_status != PipelineStatus.OFF:
        raise ConfigError(
            "connection is in pipeline mode, where Delta cannot join its transaction",
            hint="end the block of connection.pipeline() first; the transaction may stay open",
        )
    if not connection.closed and connection.info.encoding != "utf-8":
        encoding = connection.info.parameter_status("client_encoding")
        raise ConfigError(
            f"connection has the client_encoding {encoding}, which lacks characters of objects",
            hint="set client_encoding = 'UTF8' on it before, or connect with client_encoding=UTF8",
        )
