"""Where a client works, in few words, for people who have several databases."""

import shlex
from typing import TYPE_CHECKING

from delta_cli.cli.settings import DEFAULT_SCHEMA

if TYPE_CHECKING:
    from delta_cli.engine.client import Client


def place_of(client: "Client") -> str:
    """Which database, as user@host/name, and the schema where it is another."""
    from delta_cli.engine.dsn import mask_dsn

    masked_dsn = mask_dsn(client.database.dsn)
    parts: dict[str, str] = {}
    for part in shlex.split(masked_dsn):
        name, _, value = part.partition("=")
        parts[name] = value
    user, host = parts.get("user", ""), parts.get("host", "")
    place = f"{user}{'@' if user else ''}{host}/{parts.get('dbname', user)}"
    schema = client.config.schema
    other = "" if schema == DEFAULT_SCHEMA else f" {schema}"
    return (place if masked_dsn else "the server of PG*") + other
