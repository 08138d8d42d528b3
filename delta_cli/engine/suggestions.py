"""What a shell may complete, from the database, within a second or not at all.

Nothing here raises or starts anything: whoever presses Tab wants words or silence.
"""

import os
import threading
from enum import StrEnum
from typing import Any, Final, LiteralString

import psycopg

from delta_cli.engine.dsn import DsnSource
from delta_cli.engine.embedded import EmbeddedServer
from delta_cli.engine.pooler import CONFIGURE_LOCALLY
from delta_cli.engine.queries import suggestion as queries

#: From the press of the key to the words, less what Python itself takes to start.
PATIENCE_S: Final = 0.6


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


def suggestions(
    source: DsnSource, schema: str, wanted: Suggested, prefix: str, *, kind: str | None = None
) -> list[str]:
    """At most 50 words that begin with `prefix`; none where there is no database in time.

    `kind` narrows object ids. The embedded server is asked only if it runs already.
    """
    found: list[str] = []

    def look() -> None:
        found.extend(_look(source, schema, wanted, {"prefix": prefix, "kind": kind}))

    # A thread, because no time limit of libpq is as short as a person's patience.
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return list(found)


def _look(
    source: DsnSource, schema: str, wanted: Suggested, parameters: dict[str, Any]
) -> list[str]:
    try:
        dsn = _running_embedded() if source.dsn is None else source.dsn
        if dsn is None:
            return []
        with psycopg.connect(dsn, connect_timeout=2) as connection:
            connection.execute(CONFIGURE_LOCALLY, {"schema": schema})
            rows = connection.execute(_QUERIES[wanted], parameters).fetchall()
            return [row[0] for row in rows]
    except Exception:  # noqa: BLE001 - silence is the answer to whatever is wrong
        return []


def _running_embedded() -> str | None:
    server = EmbeddedServer()
    if not os.path.lexists(server.folder):
        return None
    return server.dsn if server.status().running else None
