"""Which names a schema of Delta's may have. None of them needs quotes in SQL that people type."""

import re

from delta_cli.engine.errors import ConfigError

DEFAULT_SCHEMA = "delta"

_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_MAX_LENGTH = 63 - len(".inform")  # a channel is named by schema and topic, and Postgres takes 63


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
