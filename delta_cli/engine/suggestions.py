"""What a shell may complete, from the database, within a second or not at all.

Nothing here raises or starts anything: whoever presses Tab wants words or silence.
"""

import os
import threading
from collections.abc import Callable
from typing import Any, Final

import psycopg

from delta_cli.engine.dsn import DsnSource, connection_settings
from delta_cli.engine.embedded import EmbeddedServer
from delta_cli.engine.pooler import CONFIGURE_LOCALLY
from delta_cli.engine.store.suggestions import Suggested, words

#: From the press of the key to the words, less what Python itself takes to start.
PATIENCE_S: Final = 0.6


def suggestions(
    source: DsnSource, schema: str, wanted: Suggested, prefix: str, *, kind: str | None = None
) -> list[str]:
    """At most 50 words that begin with `prefix`; none where there is no database in time.

    `kind` narrows object ids. The embedded server is asked only if it runs already.
    """
    found: list[str] = []

    def look() -> None:
        found.extend(_look(source, schema, lambda own: words(own, wanted, prefix, kind)))

    # A thread, because no time limit of libpq is as short as a person's patience.
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return list(found)


def _look(
    source: DsnSource, schema: str, ask: Callable[[psycopg.Connection[Any]], list[str]]
) -> list[str]:
    try:
        dsn = _running_embedded() if source.dsn is None else source.dsn
        if dsn is None:
            return []
        settings = connection_settings(dsn)
        with psycopg.connect(dsn, connect_timeout=2, **settings) as connection:
            connection.execute(CONFIGURE_LOCALLY, {"schema": schema})
            return ask(connection)
    except Exception:  # noqa: BLE001 - silence is the answer to whatever is wrong
        return []


def _running_embedded() -> str | None:
    server = EmbeddedServer()
    if not os.path.lexists(server.folder):
        return None
    return server.dsn if server.status().running else None
