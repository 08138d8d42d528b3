"""A sync pool of one process, which a forked child leaves alone.

The child has its parent's sockets and none of its threads: whatever it sent there, even a farewell,
would reach the parent's sessions, and whatever waited for those threads would wait for ever.
"""

import os
from typing import Any

from psycopg import Connection
from psycopg_pool import ConnectionPool


class OwnPool(ConnectionPool[Connection[Any]]):
    """psycopg's pool; forgotten in another process than its own, it just goes away."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._made_in: int = os.getpid()
        super().__init__(*args, **kwargs)

    def __del__(self) -> None:
        # The connections do likewise: psycopg ends only those of the process that made them.
        if self._made_in == os.getpid():
            super().__del__()
