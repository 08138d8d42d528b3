"""Connections to one schema of one database: the pool, and what its failures mean.

Every connection has Delta's schema as its search path and plans nested loops only, once per
statement: queue tables mislead the planner's statistics, a hash join over a whole table is never
right here, and planning a claim afresh costs as much as claiming.
"""

import asyncio
import logging
import select
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final, LiteralString, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection, errors
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from delta_cli.engine.dsn import connection_settings, mask_dsn, mask_secrets
from delta_cli.engine.errors import ConnectionFailed
from delta_cli.engine.living import take_living
from delta_cli.engine.pooler import PooledConnection, is_pooled
from delta_cli.engine.telling import Facts

log = logging.getLogger(__name__)
R = TypeVar("R")

Connection: TypeAlias = AsyncConnection[TupleRow]

#: What waiting may mend, so that a worker tries again: no connection, a server that refuses for now
#: (its disk is full, a transaction collided with another), or one that is no longer the primary.
AWAY: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.ReadOnlySqlTransaction,
    PoolTimeout,
    ConnectionFailed,
)
# SQLSTATE: a connection that broke (08), a user or database that is refused (28, 3D), a server that
# ends, starts or has no connection left (57P, 53300).
_UNCONNECTED: Final = ("08", "28", "3D", "57P", "53300")
#: A connection that was used within this time is taken for a living one.
_FRESH_S: Final = 0.5
_FIRST_WAIT_S: Final = 0.05
_LONGEST_WAIT_S: Final = 2.0
_SAY_AGAIN_AFTER_S: Final = 60.0

# One round trip that makes a new connection Delta's own. Whatever the role's own isolation is, our
# statements wait for those that change the same rows, and then go by what these have left.
CONFIGURE: Final[LiteralString] = """
select
    set_config('search_path', quote_ident(%(schema)s), false),
    set_config('enable_hashjoin', 'off', false),
    set_config('enable_mergejoin', 'off', false),
    set_config('jit', 'off', false),
    set_config('plan_cache_mode', 'force_generic_plan', false),
    set_config('default_transaction_isolation', 'read committed', false),
    -- psycopg reads times and durations in no other style.
    set_config('datestyle', 'ISO, YMD', false),
    set_config('intervalstyle', 'postgres', false),
    set_config('timezone', 'UTC', false)
"""

# Who keeps statements prepared keeps their plans too: one made while a table was small would read
# all of what has grown since, for each row of a batch.
BY_INDEX: Final[LiteralString] = """
select set_config('enable_seqscan', 'off', false)
"""


class Database:
    """A pool of connections to one schema. Opening it proves that the server answers.

    `dsn` is what libpq takes ('' leaves all to `PG*` variables). Connections are in autocommit.
    `is_pooled`: a pooler stands between, so that sessions keep nothing and LISTEN hears nothing;
    known once a connection was made.
    """

    def __init__(
        self,
        dsn: str,
        *,
        schema: str = "delta",
        application_name: str = "delta",
        max_connections: int = 10,
        connect_timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        self.dsn: str = dsn
        self.schema: str = schema
        self._application_name: str = application_name
        self._connect_timeout: timedelta = connect_timeout
        self._max_connections: int = max_connections
        self._connection_class: type[Connection] | None = None
        self._used: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()
        self._pool_or_none: AsyncConnectionPool[Connection] | None = None
        self._is_doubtful: bool = False  # since a connection broke, until one lives
        self._proof: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"Database({mask_dsn(self.dsn)!r}, schema={self.schema!r})"

    @property
    def is_pooled(self) -> bool:
        """Whether a pooler such as PgBouncer stands between."""
        return self._connection_class is PooledConnection

    async def open(self) -> None:
        """Open the pool. Raises ConnectionFailed when no server answers or it refuses us."""
        await self.prove_server()
        self._pool_or_none = self._make_pool()
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        if self._proof is not None:
            self._proof.cancel()
        if self._pool_or_none is not None:
            await self._pool_or_none.close(timeout=5.0)

    async def connect(self, *, by_index: bool = False) -> Connection:
        """A connection of one's own, outside the pool, configured like the others.

        `by_index`: its statements read no table from end to end where an index leads to the rows.
        """
        try:
            if self._connection_class is None:
                self._connection_class = await self._find_connection_class()
            connection = await self._connection_class.connect(self.dsn, **self._arguments())
            try:
                await self._configure(connection)
                # Through a pooler nothing is prepared, and settings would be left to others.
                if by_index and not self.is_pooled:
                    await connection.execute(BY_INDEX)
            except BaseException:  # a cancellation too: nobody else knows of this connection
                await connection.close()
                raise
        except psycopg.Error as error:
            raise describe_connection_error(error, self.dsn) from None
        return connection

    async def _find_connection_class(self) -> type[Connection]:
        async with await AsyncConnection.connect(self.dsn, **self._arguments()) as connection:
            return PooledConnection if await is_pooled(connection) else AsyncConnection

    @property
    def _pool(self) -> AsyncConnectionPool[Connection]:
        if self._pool_or_none is None:
            raise ConnectionFailed("the database is not open", hint="open it first")
        return self._pool_or_none

    def _make_pool(self) -> AsyncConnectionPool[Connection]:
        return AsyncConnectionPool(
            self.dsn,
            connection_class=self._connection_class or AsyncConnection,
            min_size=1,
            max_size=self._max_connections,
            open=False,
            kwargs=self._arguments(),
            configure=self._configure,
            timeout=self._connect_timeout.total_seconds(),
            # After an outage the next request tries at once instead of waiting out a long backoff.
            reconnect_timeout=2.0,
            name=self._application_name,
        )

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection of the pool, in autocommit.

        Raises ConnectionFailed when the server is away, and PoolTimeout when all are in use for
        long.
        """
        pool = self._pool
        connection = await take_living(pool, self._prove, self._remove_doubt)
        try:
            async with connection:
                yield connection
                self._used[connection] = time.monotonic()
        except psycopg.Error as error:
            self._is_doubtful = self._is_doubtful or is_unconnected(error)
            raise
        finally:
            await pool.putconn(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection of the pool in a transaction."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    def _arguments(self) -> dict[str, Any]:
        return {
            "autocommit": True,
            "application_name": self._application_name,
            "connect_timeout": max(2, round(self._connect_timeout.total_seconds())),
            **connection_settings(self.dsn),
        }

    async def _remove_doubt(self) -> None:
        """Ask the server, once for all who wait, if it is in doubt. Raises ConnectionFailed."""
        if not self._is_doubtful:
            return
        if self._proof is None or self._proof.done():
            self._proof = asyncio.create_task(self.prove_server())
            # All who asked may have been cancelled meanwhile.
            self._proof.add_done_callback(lambda proof: proof.cancelled() or proof.exception())
        await asyncio.shield(self._proof)

    async def prove_server(self) -> None:
        """Connect outside the pool, which only waits, and logs why it cannot.

        Raises ConnectionFailed.
        """
        connection = await self.connect()
        await connection.close()
        self._is_doubtful = False

    async def _prove(self, connection: Connection) -> None:
        try:
            await _prove_living(connection, self._used.get(connection, 0.0))
        except psycopg.Error:
            self._is_doubtful = True
            raise
        self._is_doubtful = False

    async def _configure(self, connection: Connection) -> None:
        if isinstance(connection, PooledConnection):
            connection.configure(self.schema)
        else:
            await connection.execute(CONFIGURE, {"schema": self.schema})


class LastingConnection:
    """A connection that one loop keeps to itself, so that its statements stay prepared and warm.

    After any error it is closed, and the next use opens another. One user at a time.
    """

    def __init__(self, database: Database) -> None:
        self._database: Database = database
        self._kept: Connection | None = None
        self._used: float = 0.0  # time.monotonic()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """The connection, in autocommit. Raises ConnectionFailed while there can be none."""
        connection = await self._living()
        try:
            yield connection
        except BaseException:
            await self.close()
            raise
        self._used = time.monotonic()

    async def close(self) -> None:
        """Close it; the next use opens another."""
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.close()

    async def _living(self) -> Connection:
        if self._kept is not None:
            try:
                await _prove_living(self._kept, self._used)
            except psycopg.Error:
                await self.close()
        if self._kept is None:
            self._kept = await self._database.connect(by_index=True)
        return self._kept


async def _prove_living(connection: Connection, used: float) -> None:
    """Raise psycopg.Error for a connection that broke; `used`: its last use, time.monotonic().

    One that worked a moment ago is asked, which costs a round trip, only if the server has sent
    something since: that is how the end of a session shows.
    """
    if time.monotonic() - used > _FRESH_S or _has_unread(connection):
        await AsyncConnectionPool.check_connection(connection)


def _has_unread(connection: Connection) -> bool:
    if not hasattr(select, "poll"):  # as on Windows
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def describe_connection_error(error: BaseException, dsn: str) -> ConnectionFailed:
    """Why no connection came about, with what to do, and without any password."""
    detail = _reason(error)
    hint = "is the server running, and is the address right?"
    if isinstance(error, errors.InvalidPassword) or "password" in detail:
        hint = "check the user's password, or use a passfile"
    elif isinstance(error, errors.InvalidCatalogName) or "does not exist" in detail:
        hint = "create the database or role, or name another in the DSN"
    return ConnectionFailed(f"cannot connect to {_place(dsn)}: {detail}", hint=hint)


def describe_lost_connection(error: BaseException, dsn: str) -> ConnectionFailed:
    """That a connection broke under a statement, without any password."""
    return ConnectionFailed(
        f"lost the connection to {_place(dsn)}: {_reason(error)}",
        hint="what was asked for may or may not be done: look, or ask again",
    )


def _place(dsn: str) -> str:
    return mask_dsn(dsn) or "the server that libpq's PG* variables name"


def _reason(error: BaseException) -> str:
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return mask_secrets(error.diag.message_primary)
    # libpq indents its guesses and questions, which the hints put better.
    lines = [line for line in mask_secrets(str(error)).splitlines() if line[:1].strip()]
    return lines[-1].strip() if lines else type(error).__name__


def is_unconnected(error: BaseException) -> bool:
    """Whether an error says that there is no connection, rather than that a statement failed."""
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        return error.sqlstate.startswith(_UNCONNECTED)
    return isinstance(error, AWAY)


def is_unavailable(error: BaseException | None) -> bool:
    """Whether a pass that raised this has met one of AWAY, and has not failed itself.

    A statement that was cancelled, as by a statement_timeout, will be so each time.
    """
    return isinstance(error, AWAY) and not isinstance(error, errors.QueryCanceled)


async def while_away(component: str, step: Callable[[], Awaitable[R]]) -> R:
    """Run one step, again while the database is away or refuses for now, and say so.

    It says why it waits at once and every minute, and when that is over.
    """
    wait_s = _FIRST_WAIT_S
    since: float | None = None
    said = 0.0
    while True:
        try:
            result = await step()
        except AWAY as error:
            now = time.monotonic()
            since = since or now
            if said == 0.0 or now - said >= _SAY_AGAIN_AFTER_S:
                said = now
                _log_waiting(component, error)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            continue
        if since is not None:
            log.warning(
                "database is back",
                extra={"component": component, "away_s": round(time.monotonic() - since, 1)},
            )
        return result


def _log_waiting(component: str, error: BaseException) -> None:
    what = (
        "database away, waiting: %s" if is_unconnected(error) else "database refuses, waiting: %s"
    )
    why = " ".join(mask_secrets(str(error)).split())
    log.warning(what, Facts(why), extra={"component": component, "error": why})
