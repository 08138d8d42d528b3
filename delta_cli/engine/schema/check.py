"""Compares what is shipped with what a database has recorded. Reads only.

A history that does not agree is never mended here: the error says what a person can do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from psycopg import AsyncConnection

from delta_cli.engine.errors import MigrationEdited, MigrationPartial, SchemaBehind, SchemaNewer
from delta_cli.engine.schema.files import Migration, shipped_migrations
from delta_cli.engine.schema.names import DEFAULT_SCHEMA, check_schema_name, migrate_command
from delta_cli.engine.schema.record import Recorded, read_recorded, shown


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """One migration, and how far a schema is with it; both times are None until it is applied."""

    version: int
    name: str
    state: Literal["applied", "pending", "partial"]
    applied_at: datetime | None
    duration_ms: int | None


async def pending(
    connection: AsyncConnection[Any],
    *,
    schema: str = DEFAULT_SCHEMA,
    migrations: Sequence[Migration] | None = None,
) -> list[Migration]:
    """What `migrate` would apply.

    `migrations` stands for the shipped ones where given. The connection may be in autocommit mode
    or not, and inside a transaction or not; it is left as it was.
    Raises `SchemaNewer`, `MigrationPartial`, `MigrationEdited` or `SchemaForeign` where the schema
    is not to be touched, and `DeltaError` where the role may not read it.
    """
    check_schema_name(schema)
    shipped = shipped_migrations() if migrations is None else migrations
    return compare(schema, shipped, await read_recorded(connection, schema))


async def require_current(
    connection: AsyncConnection[Any],
    *,
    schema: str = DEFAULT_SCHEMA,
    migrations: Sequence[Migration] | None = None,
) -> None:
    """Raise `SchemaBehind`, or what `pending` raises, unless the schema is as this Delta needs it.

    In autocommit mode this is one round trip when all is well.
    """
    shipped = shipped_migrations() if migrations is None else migrations
    left = await pending(connection, schema=schema, migrations=shipped)
    if not left:
        return
    done = len(shipped) - len(left)
    have = f"has {done} of {len(shipped)} migrations" if done else "is not migrated yet"
    raise SchemaBehind(
        f"schema {schema!r} {have}; to be applied: {shown([file.file_name for file in left])}",
        hint=f"run: {migrate_command(schema)}",
    )


async def status(
    connection: AsyncConnection[Any],
    *,
    schema: str = DEFAULT_SCHEMA,
    migrations: Sequence[Migration] | None = None,
) -> list[MigrationStatus]:
    """Every migration that is shipped or recorded, also those that only a newer Delta knows.

    Refuses only a schema that is not Delta's (`SchemaForeign`) or not to be read (`DeltaError`).
    """
    check_schema_name(schema)
    shipped = shipped_migrations() if migrations is None else migrations
    recorded = {row.version: row for row in await read_recorded(connection, schema)}
    names = {migration.version: migration.name for migration in shipped}
    names |= {row.version: row.name for row in recorded.values()}
    return [_status(version, names[version], recorded.get(version)) for version in sorted(names)]


def compare(
    schema: str, shipped: Sequence[Migration], recorded: Sequence[Recorded]
) -> list[Migration]:
    """What is shipped and not recorded, if the two histories agree."""
    known = {migration.version: migration for migration in shipped}
    for row in recorded:
        migration = known.get(row.version)
        if migration is None:
            raise SchemaNewer(
                f"schema {schema!r} has applied {row.version:03}_{row.name}.sql, "
                f"and the last that this Delta knows is {shipped[-1].file_name}",
                hint="install the newer deltaloop that has migrated it",
            )
        if row.applied_at is None:
            raise partial(schema, migration)
        if row.checksum != migration.checksum:
            raise MigrationEdited(
                f"{migration.file_name} is not the file that schema {schema!r} has applied",
                hint="put the released file back, and make the change in the next migration",
            )
    recorded_versions = {row.version for row in recorded}
    return [migration for migration in shipped if migration.version not in recorded_versions]


def partial(schema: str, migration: Migration) -> MigrationPartial:
    """The error for a migration that began and did not finish."""
    table, version = f"{schema}.delta_migration", migration.version
    return MigrationPartial(
        f"{migration.file_name} began in schema {schema!r} and did not finish",
        hint="unless another process is at it now, undo by hand what it did and then "  # noqa: S608 for a person to run
        f"`delete from {table} where version = {version}`, or do the rest by hand and then "
        f"`update {table} set applied_at = now() where version = {version}`",
    )


def _status(version: int, name: str, row: Recorded | None) -> MigrationStatus:
    if row is None:
        return MigrationStatus(version, name, "pending", None, None)
    if row.applied_at is None:
        return MigrationStatus(version, name, "partial", None, None)
    duration_ms = round((row.applied_at - row.started_at) / timedelta(milliseconds=1))
    return MigrationStatus(version, name, "applied", row.applied_at, duration_ms)
