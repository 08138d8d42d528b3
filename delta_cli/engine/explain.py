"""What any failure around the database means, told as one error that a person can act on."""

import psycopg
from psycopg import errors
from psycopg_pool import PoolTimeout

from delta_cli.engine.database import (
    describe_lost_connection,
    is_unconnected,
)
from delta_cli.engine.dsn import mask_secrets
from delta_cli.engine.errors import ConnectionFailed, DeltaError, InvalidObject, SchemaBehind
from delta_cli.engine.schema.names import migrate_command


def explain(error: BaseException, dsn: str, schema: str) -> DeltaError | None:
    """The plain meaning of an error; None when it is not the database's.

    A DeltaError is its own meaning. Of a group of errors, the first that has a meaning counts.
    """
    if isinstance(error, DeltaError):
        return error
    if isinstance(error, BaseExceptionGroup):
        meanings = (explain(one, dsn, schema) for one in error.exceptions)
        return next((meaning for meaning in meanings if meaning is not None), None)
    if isinstance(error, PoolTimeout):
        return ConnectionFailed(
            f"all connections of this client are in use: {error}",
            hint="make fewer calls at once, or shorter ones",
        )
    if isinstance(error, psycopg.Error):
        return _database_error(error, dsn, schema)
    return None


def not_text(error: UnicodeEncodeError) -> InvalidObject:
    """Of a word that names a resource: what is no UTF-8 cannot be the name of any."""
    return InvalidObject(
        f"object_id, kind or namespace contains a lone surrogate, which is not a character: "
        f"{error.object[:80]!r}",
        field="object_id",
        hint="decode names from outside as UTF-8 before you give them to Delta",
    )


def _database_error(error: psycopg.Error, dsn: str, schema: str) -> DeltaError:
    if is_unconnected(error):
        return describe_lost_connection(error, dsn)
    told = mask_secrets(error.diag.message_primary or str(error))
    if isinstance(error, (errors.UndefinedTable, errors.UndefinedObject, errors.InvalidSchemaName)):
        hint = f"run: {migrate_command(schema)}"
        return SchemaBehind(f"schema {schema!r} is not set up: {told}", hint=hint)
    if isinstance(error, errors.InsufficientPrivilege):
        return DeltaError(
            f"the database does not allow this: {told}",
            hint=f"grant the role its rights on schema {schema!r}, or connect as another role",
        )
    return DeltaError(f"the database refuses: {told}")
