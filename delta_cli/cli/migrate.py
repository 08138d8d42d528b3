"""`delta migrate`: bring the database's schema to what this Delta needs."""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from delta_cli.cli import output, shapes
from delta_cli.cli.command import OutputOption, command
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.output import Format
from delta_cli.cli.progress import progress_bar
from delta_cli.cli.session import open_database
from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import note
from delta_cli.engine.errors import ConfigError

if TYPE_CHECKING:
    from delta_cli.engine.schema import Migration

_COLUMNS = tuple(shapes.MIGRATION)


class Action(StrEnum):
    """What to do with the migrations."""

    APPLY = "apply"
    STATUS = "status"


async def migrate(
    settings: Settings,
    action: Annotated[
        Action, typer.Argument(help="Apply what is pending, or show what is applied.")
    ] = Action.APPLY,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 7 if migrations are pending.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; print the SQL that would be run.")
    ] = False,
    output_format: OutputOption = Format.TABLE,
) -> ExitCode | None:
    """Apply the migrations that the database lacks, or look at them."""
    if (check and dry_run) or (action is Action.STATUS and (check or dry_run)):
        raise ConfigError("migrate takes one of status, --check and --dry-run")
    async with open_database(settings) as database:
        connection = await database.connect()
        async with connection:
            if action is Action.STATUS:
                return await _show(connection, database.schema, output_format)
            if dry_run:
                return await _show_sql(connection, database.schema, output_format)
            if check:
                return await _check(connection, database.schema)
            return await _apply(connection, database.schema, output_format)


async def _apply(connection: Any, schema: str, output_format: Format) -> None:
    from delta_cli.engine.schema import migrate as apply_migrations
    from delta_cli.engine.schema import pending

    records: list[dict[str, Any]] = []
    total = len(await pending(connection, schema=schema))

    def applied(migration: "Migration", duration: timedelta) -> None:
        duration_ms = round(duration / timedelta(milliseconds=1))
        records.append(
            {"version": migration.version, "name": migration.name, "duration_ms": duration_ms}
        )
        advance(len(records), total)

    with progress_bar("migrating", output_format) as advance:
        await apply_migrations(connection, schema=schema, on_applied=applied)
    if not records:
        note(f"schema {schema!r} is up to date")
    if records or output_format is not Format.TABLE:
        output.write_list(records, output_format, columns=tuple(shapes.APPLIED))


async def _check(connection: Any, schema: str) -> ExitCode:
    from delta_cli.engine.schema import migrate_command, pending

    left = await pending(connection, schema=schema)
    if not left:
        note(f"schema {schema!r} is up to date")
        return ExitCode.DONE
    names = ", ".join(one.file_name for one in left)
    note(f"schema {schema!r} lacks {names}; run: {migrate_command(schema)}")
    return ExitCode.SCHEMA


async def _show_sql(connection: Any, schema: str, output_format: Format) -> None:
    from delta_cli.engine.schema import pending

    left = await pending(connection, schema=schema)
    if not left:
        note(f"schema {schema!r} is up to date")
    if output_format is not Format.TABLE:
        records = [{"version": one.version, "name": one.name, "sql": one.sql} for one in left]
        output.write_list(records, output_format, columns=tuple(shapes.PENDING_MIGRATION))
    elif left:
        output.write_text("\n".join(_sql(schema, left)))


def _sql(schema: str, migrations: "Sequence[Migration]") -> list[str]:
    head = f'-- In the schema "{schema}", which is made where it is missing.'
    return [head, *(f"\n-- {one.file_name}\n{one.sql.strip()}" for one in migrations)]


async def _show(connection: Any, schema: str, output_format: Format) -> None:
    from dataclasses import asdict

    from delta_cli.engine.schema import status

    records = [asdict(one) for one in await status(connection, schema=schema)]
    output.write_list(records, output_format, columns=_COLUMNS)


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(
        app,
        "migrate",
        changes=lambda given: given["action"] is not Action.STATUS and not given["check"],
        examples=[
            "delta migrate",
            "delta migrate --check || echo behind",
            "delta migrate --dry-run > delta.sql",
            "delta migrate status -o json",
        ],
    )(migrate)
