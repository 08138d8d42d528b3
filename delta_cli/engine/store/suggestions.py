"""Words for the shell to complete, on a sync connection: a shell waits for one process to end."""

from enum import StrEnum
from typing import Any, Final, LiteralString

from psycopg import Connection

from delta_cli.engine.queries import suggestion as queries
from delta_cli.engine.tick_names import BUILT_IN_TICKS


class Suggested(StrEnum):
    """What can be asked for."""

    KIND = "kind"
    NAMESPACE = "namespace"
    TICK = "tick"
    WORKER = "worker"
    OBJECT_ID = "object id"


_QUERIES: Final[dict[Suggested, LiteralString]] = {
    Suggested.KIND: queries.KINDS,
    Suggested.NAMESPACE: queries.NAMESPACES,
    Suggested.TICK: queries.TICKS,
    Suggested.WORKER: queries.WORKERS,
    Suggested.OBJECT_ID: queries.OBJECT_IDS,
}


def words(
    connection: Connection[Any], wanted: Suggested, prefix: str, kind: str | None
) -> list[str]:
    """At most 50 that begin with `prefix`; `kind` narrows object ids."""
    values = {"prefix": prefix, "kind": kind, "built_in": list(BUILT_IN_TICKS)}
    rows = connection.execute(_QUERIES[wanted], values)
    return [row[0] for row in rows.fetchall()]
