"""Which names a schema of Delta's may have. None of them needs quotes in SQL that people type."""

import os
import re

from delta_cli.engine.errors import ConfigError

DEFAULT_SCHEMA = "delta"

_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_MAX_LENGTH = 63 - len(".inform")  # a channel is named by schema and topic, and Postgres takes 63


def default_schema() -> str:
    """Where nothing else names a schema: DELTA_SCHEMA, unless it is empty, else `delta`."""
    return os.environ.get("DELTA_SCHEMA") or DEFAULT_SCHEMA


def migrate_command(schema: str) -> str:
    """The command that migrates this schema: by itself, `delta migrate` takes the default one."""
    return "delta migrate" if schema == default_schema() else f"delta migrate --schema {schema}"


def check_schema_name(schema: str) -> str:
    """The name, if Delta can use a schema of that name."""
    if _NAME.fullmatch(schema) is None or len(schema) > _MAX_LENGTH:
        raise ConfigError(
            f"schema name {schema!r} is not valid",
            hint=f"use a-z, 0-9 and _, no digit at the beginning, at most {_MAX_LENGTH} of them",
        )
    if schema.startswith("pg_") or schema == "information_schema":
        raise ConfigError(
            f"schema name {schema!r} belongs to Postgres",
            hint=f"use another, such as {DEFAULT_SCHEMA!r}",
        )
    return schema
