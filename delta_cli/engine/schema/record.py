"""Reads what a database knows of its own migrations: the table `delta_migration`.

Reading leaves the connection's transaction as it was found, also where there is no such table.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, TypeVar

from psycopg import AsyncConnection, AsyncCursor, errors, sql
from psycopg.pq import TransactionStatus
from psycopg.rows import class_row, scalar_row

from delta_cli.engine.errors import DeltaError, SchemaForeign
from delta_cli.engine.queries import migration as queries

Row = TypeVar("Row")

# The columns that make a `delta_migration` ours are int4, text, text, timestamptz, timestamptz.
_COLUMN_TYPES = [23, 25, 25, 1184, 1184]
_NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row of `delta_migration`; `applied_at` is None from a migration's begin to its end."""

    version: int
    name: str
    checksum: str
    started_at: datetime
    applied_at: datetime | None


@dataclass(frozen=True, slots=True)
class Rights:
    """Who we are, and what we may do with the schema."""

    role: str
    database: str
    schema_exists: bool
    may_create_schema: bool
    may_use: bool
    may_create: bool

    def lack(self, right: str, thing: str, purpose: str) -> DeltaError:
        """The error that names a missing right on `thing`, such as `database "app"`."""
        return DeltaError(
            f"role {self.role!r} lacks the right {right} on {thing}, needed to {purpose}",
            hint=f'let its owner run: grant {right.lower()} on {thing} to "{self.role}"',
        )


async def read_recorded(connection: AsyncConnection[Any], schema: str) -> list[Recorded]:
    """The rows in order; none where there is no such schema, or an empty one."""
    try:
        async with (
            contained(connection),
            connection.cursor(row_factory=class_row(Recorded)) as cursor,
        ):
            await cursor.execute(within(schema, queries.RECORDED))
            if [column.type_code for column in cursor.description or ()] != _COLUMN_TYPES:
                raise _other_shape(schema)
            return await cursor.fetchall()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        await _refuse_strangers(connection, schema)
        return []
    except (errors.UndefinedColumn, errors.WrongObjectType):
        raise _other_shape(schema) from None
    except errors.InsufficientPrivilege:
        raise _may_not_read(await read_rights(connection, schema), schema) from None


async def read_rights(connection: AsyncConnection[Any], schema: str) -> Rights:
    """What the connection's role may do; asks catalogs only, so it needs no right itself."""
    async with contained(connection), connection.cursor(row_factory=class_row(Rights)) as cursor:
        await cursor.execute(queries.RIGHTS, {"schema": schema})
        return await _only(cursor)


async def read_value(
    connection: AsyncConnection[Any],
    query: LiteralString | sql.Composed,
    parameters: dict[str, Any] | None = None,
) -> Any:
    """The one value of a query's one row, whatever rows the connection makes."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query, parameters)
        return await _only(cursor)


def within(schema: str, query: LiteralString) -> sql.Composed:
    """The query with its `{schema}`, quoted."""
    return sql.SQL(query).format(schema=sql.Identifier(schema))


def contained(connection: AsyncConnection[Any]) -> AbstractAsyncContextManager[object]:
    """A transaction or a savepoint where needed for a failed statement to leave nothing behind."""
    idle = connection.info.transaction_status == TransactionStatus.IDLE
    return nullcontext() if connection.autocommit and idle else connection.transaction()


def shown(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


async def _refuse_strangers(connection: AsyncConnection[Any], schema: str) -> None:
    async with contained(connection), connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(queries.STRANGERS, {"schema": schema})
        names: list[str] = await cursor.fetchall()
    if names:
        raise SchemaForeign(
            f"schema {schema!r} holds what Delta did not make: {shown(names)}",
            hint="give Delta a schema of its own: --schema NAME",
        )


def _other_shape(schema: str) -> SchemaForeign:
    return SchemaForeign(
        f"{schema}.delta_migration is not Delta's record of migrations: its columns are others",
        hint="give Delta a schema of its own: --schema NAME",
    )


def _may_not_read(rights: Rights, schema: str) -> DeltaError:
    if rights.may_use:
        return rights.lack("SELECT", f"table {schema}.delta_migration", "see what is applied")
    return rights.lack("USAGE", f"schema {schema}", "see what is applied")


async def _only(cursor: AsyncCursor[Row]) -> Row:
    (row,) = await cursor.fetchall()
    return row
