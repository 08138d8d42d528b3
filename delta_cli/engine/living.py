"""Connections of a pool that are proved to live: one whose session has ended is given to nobody.

psycopg_pool's own `check` rests longer after each dead one. After a failover all that were idle are
dead, and a caller who meets one after the other would get none in time. While the server is away
the pool only waits, and logs why; so after a dead one the server is asked before anybody waits.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import chain, repeat
from typing import Any, Final, TypeVar

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout

AsyncOne = TypeVar("AsyncOne", bound=AsyncConnection[Any])
SyncOne = TypeVar("SyncOne", bound=Connection[Any])

#: Between two that are new and dead all the same, as behind a pooler without a server.
_REST_S: Final = 0.1


async def take_living(
    pool: AsyncConnectionPool[AsyncOne],
    prove: Callable[[AsyncOne], Awaitable[None]],
    before_waiting: Callable[[], Awaitable[None]],
) -> AsyncOne:
    """A connection for which `prove` raises no psycopg.Error; the caller puts it back.

    Raises what `before_waiting` raises, which is awaited when none is idle, and PoolTimeout when
    there is none within the pool's `timeout`.
    """
    deadline = time.monotonic() + pool.timeout
    rests = _rests(pool.max_size)
    while True:
        connection = await _idle(pool)
        if connection is None:
            await before_waiting()
            try:
                connection = await pool.getconn(deadline - time.monotonic())
            except PoolTimeout:
                raise _none_within(pool.timeout) from None
        try:
            await prove(connection)
        except psycopg.Error:
            await connection.close()
            await pool.putconn(connection)
        except BaseException:
            # Not closed: psycopg has ended the statement of who was cancelled, and the pool warns
            # of each closed one that it gets back.
            await pool.putconn(connection)
            raise
        else:
            return connection
        await asyncio.sleep(next(rests))


async def _idle(pool: AsyncConnectionPool[AsyncOne]) -> AsyncOne | None:
    with suppress(PoolTimeout):
        return await pool.getconn(0)
    return None


def take_living_sync(pool: ConnectionPool[SyncOne], prove_server: Callable[[], None]) -> SyncOne:
    """As `take_living`, of a sync pool; each connection is asked, which costs a round trip."""
    deadline = time.monotonic() + pool.timeout
    rests = _rests(pool.max_size)
    is_server_proved = False
    while True:
        try:
            connection = pool.getconn(deadline - time.monotonic())
        except PoolTimeout:
            raise _none_within(pool.timeout) from None
        try:
            pool.check_connection(connection)
        except BaseException as error:  # Ctrl-C too: the pool replaces what it lent
            connection.close()
            pool.putconn(connection)
            if not isinstance(error, psycopg.Error):
                raise
        else:
            return connection
        if not is_server_proved:
            prove_server()
            is_server_proved = True
        time.sleep(next(rests))


def _rests(most: int) -> Iterator[float]:
    """How long to rest after each dead one: not at all after as many as may have been idle."""
    return chain(repeat(0.0, most), repeat(_REST_S))


def _none_within(timeout_s: float) -> PoolTimeout:
    return PoolTimeout(f"couldn't get a connection after {timeout_s:.2f} sec")
