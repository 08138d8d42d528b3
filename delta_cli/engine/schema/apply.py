"""Applies migrations, one process at a time.

The lock is taken anew for each file and lasts as long as its transaction, so that no death of a
process leaves it behind. Only a file without a transaction holds it by the session.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import AsyncConnection, errors
from psycopg.pq import TransactionStatus

from delta_cli.engine.errors import ConfigError, DeltaError, MigrationPartial
from delta_cli.engine.queries import migration as queries
from delta_cli.engine.schema.check import compare, partial
from delta_cli.engine.schema.files import Migration, shipped_migrations
from delta_cli.engine.schema.names import DEFAULT_SCHEMA, check_schema_name
from delta_cli.engine.schema.record import Rights, read_recorded, read_rights, read_value, within

_LOCK_POLL_INTERVAL = timedelta(milliseconds=50)


async def migrate(
    connection: AsyncConnection[Any],
    *,
    schema: str = DEFAULT_SCHEMA,
    migrations: Sequence[Migration] | None = None,
    on_applied: Callable[[Migration, timedelta], None] | None = None,
) -> list[Migration]:
    """Apply what is pending; returns what this call has applied, `[]` when there was nothing to do.

    Each file is committed by itself and then told to `on_applied` with its duration. While another
    process migrates the same schema, this one waits, and then applies what is left.
    The connection may be in autocommit mode or not, but must have no transaction open. A migration
    without a transaction needs a session of its own, not one behind a pooler in transaction mode.
    Raises what `pending` does, and `DeltaError` for a migration that fails or needs more rights.
    """
    check_schema_name(schema)
    shipped = shipped_migrations() if migrations is None else migrations
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise ConfigError(
            "migrate() commits as it goes, but its connection is inside a transaction or closed",
            hint="commit or roll back first, or give it a connection of its own",
        )
    autocommit = connection.autocommit
    await connection.set_autocommit(True)
    try:
        applied: list[Migration] = []
        while (done := await _apply_next(connection, schema, shipped)) is not None:
            applied.append(done[0])
            if on_applied is not None:
                on_applied(*done)
        return applied
    finally:
        if connection.info.transaction_status == TransactionStatus.IDLE:
            await connection.set_autocommit(autocommit)


async def _apply_next(
    connection: AsyncConnection[Any], schema: str, shipped: Sequence[Migration]
) -> tuple[Migration, timedelta] | None:
    async with _locked_transaction(connection, schema):
        left = compare(schema, shipped, await read_recorded(connection, schema))
        if not left:
            return None
        migration = left[0]
        rights = await read_rights(connection, schema)
        with _explained(migration, rights):
            await _make_place(connection, schema, rights)
            await connection.execute(within(schema, queries.START), _row_of(migration))
            if migration.transactional:
                await connection.execute(within(schema, queries.SEARCH_LOCALLY))
                await _send(connection, migration.sql)
                return migration, await _finish(connection, schema, migration)
        # The session takes the lock over before the transaction gives it away.
        await connection.execute(queries.LOCK_SESSION, _lock_name(schema))
    return migration, await _apply_in_pieces(connection, schema, migration, rights)


async def _apply_in_pieces(
    connection: AsyncConnection[Any], schema: str, migration: Migration, rights: Rights
) -> timedelta:
    """Run a file statement by statement, each its own transaction, under the session's lock."""
    search_path = await read_value(connection, queries.SEARCH_PATH)
    try:
        await connection.execute(within(schema, queries.SEARCH))
        with _explained(migration, rights):
            for statement in migration.statements():
                await _send(connection, statement)
            return await _finish(connection, schema, migration)
    except DeltaError as error:
        begun = partial(schema, migration)
        raise MigrationPartial(f"{begun}: {error}", hint=begun.hint) from error
    finally:
        if not connection.closed:
            await connection.execute(queries.RESTORE_SEARCH_PATH, {"search_path": search_path})
            await connection.execute(queries.UNLOCK_SESSION, _lock_name(schema))


async def _make_place(connection: AsyncConnection[Any], schema: str, rights: Rights) -> None:
    """Make the schema and the table of migrations where they are missing."""
    if not rights.schema_exists:
        if not rights.may_create_schema:
            raise rights.lack(
                "CREATE", f'database "{rights.database}"', f"create the schema {schema!r}"
            )
        await connection.execute(within(schema, queries.CREATE_SCHEMA))
    elif not rights.may_create:
        raise rights.lack("CREATE", f"schema {schema}", "migrate it")
    await connection.execute(within(schema, queries.CREATE_TABLE))


async def _send(connection: AsyncConnection[Any], text: str) -> None:
    """Run SQL of a file: as bytes, for it is no literal; without parameters, so `%` is itself."""
    await connection.execute(text.encode(connection.info.encoding))


async def _finish(connection: AsyncConnection[Any], schema: str, migration: Migration) -> timedelta:
    return await read_value(connection, within(schema, queries.FINISH), _row_of(migration))


@asynccontextmanager
async def _locked_transaction(connection: AsyncConnection[Any], schema: str) -> AsyncIterator[None]:
    """A transaction that holds the migration lock.

    Waits by asking again, each time in a new transaction: whoever waited inside of one would keep
    a `create index concurrently` of the lock's holder from ever ending.
    """
    while True:
        async with connection.transaction():
            await connection.execute(queries.READ_COMMITTED)
            if await read_value(connection, queries.TRY_LOCK, _lock_name(schema)):
                yield
                return
        await asyncio.sleep(_LOCK_POLL_INTERVAL.total_seconds())


@contextmanager
def _explained(migration: Migration, rights: Rights) -> Iterator[None]:
    """Name the file in what goes wrong with it. A lost connection is not the file's fault."""
    try:
        yield
    except psycopg.OperationalError:
        raise
    except errors.InsufficientPrivilege as error:
        raise DeltaError(
            f"role {rights.role!r} lacks a right that {migration.file_name} needs: "
            f"{_primary(error)}",
            hint="migrate as the role that owns the schema, or let that role grant the right",
        ) from error
    except psycopg.Error as error:
        raise DeltaError(
            f"{migration.file_name} failed: {_primary(error)}", hint="nothing of it was kept"
        ) from error


def _primary(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error)


def _lock_name(schema: str) -> dict[str, Any]:
    return {"lock_name": f"delta migrate {schema}"}


def _row_of(migration: Migration) -> dict[str, Any]:
    return {
        "version": migration.version,
        "name": migration.name,
        "checksum": migration.checksum,
    }
