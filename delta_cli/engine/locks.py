"""Advisory locks that hold a tick for one process of the fleet.

All locks of a process are on one session, which is watched: when it breaks, whoever held a lock of
it is cancelled at once; and the server ends it when the process is frozen.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, Protocol, TypeVar

import psycopg

from delta_cli.engine.cancelling import cancel_all, cancel_patiently
from delta_cli.engine.database import AWAY, Connection, Database, is_unconnected
from delta_cli.engine.errors import ConnectionFailed, LockLost
from delta_cli.engine.store import ticks

log = logging.getLogger(__name__)
R = TypeVar("R")

_LONGEST_PING_S: Final = 3.0


class AdvisoryLocker(Protocol):
    """Lets one holder at a time run something, across all that lock in the same place."""

    async def with_advisory_lock(self, lock_id: int, fn: Callable[[], Awaitable[None]]) -> bool:
        """Await `fn()` under a lock; False, without it, when somebody else has the lock.

        Raises what `fn()` raises, and LockLost when the lock was lost before `fn()` had ended,
        which is cancelled then.
        """
        ...


class LocalLocker:
    """Locks within this process alone, for services that no database stands behind."""

    def __init__(self) -> None:
        self._held: set[int] = set()

    async def with_advisory_lock(self, lock_id: int, fn: Callable[[], Awaitable[None]]) -> bool:
        """As `AdvisoryLocker` says."""
        if lock_id in self._held:
            return False
        self._held.add(lock_id)
        try:
            await fn()
        finally:
            self._held.discard(lock_id)
        return True


class PostgresAdvisoryLocker:
    """Session locks of Postgres on one connection of its own, opened when first needed.

    `lost_after`: how long this process may be silent before the server gives its locks to others.
    The database must lead to one server session: directly, or through a pooler in session mode.
    """

    def __init__(self, database: Database, *, lost_after: timedelta) -> None:
        self._database: Database = database
        self._lost_after_s: float = lost_after.total_seconds()
        self._held: set[int] = set()
        self._session: _Session | None = None
        self._opening: asyncio.Lock = asyncio.Lock()

    async def with_advisory_lock(self, lock_id: int, fn: Callable[[], Awaitable[None]]) -> bool:
        """As `AdvisoryLocker` says. Raises one of AWAY when no lock can be asked for."""
        # A session may take its own lock twice, so what it holds is refused here.
        if lock_id in self._held:
            return False
        self._held.add(lock_id)
        try:
            session = await self._living_session()
            taken: bool | None = None  # not known while the question is under way
            try:
                taken = await session.run(lambda held: ticks.try_lock(held, lock_id))
                if taken:
                    await _run_while(session.lost, fn)
            finally:
                if taken is not False:
                    with contextlib.suppress(*AWAY):
                        await session.run(lambda held: ticks.unlock(held, lock_id))
        finally:
            self._held.discard(lock_id)
        return bool(taken)

    async def close(self) -> None:
        """Close the session; its locks are given back."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _living_session(self) -> "_Session":
        async with self._opening:
            if self._session is None or self._session.lost.is_set():
                await self.close()
                connection = await self._database.connect()
                try:
                    await ticks.guard_session(connection, silent_s=self._lost_after_s)
                except BaseException:
                    await connection.close()
                    raise
                self._session = _Session(connection, silent_s=self._lost_after_s)
            return self._session


class _Session:
    """One connection that is never left unwatched. `lost` is set as soon as it is known to be."""

    def __init__(self, connection: Connection, *, silent_s: float) -> None:
        self.lost: asyncio.Event = asyncio.Event()
        self._connection: Connection = connection
        self._ping_s: float = min(silent_s / 5, _LONGEST_PING_S)
        # Together with the wait for a ping, this ends before the server gives our locks away.
        self._patience_s: float = silent_s * 3 / 5
        self._readable: asyncio.Event = asyncio.Event()
        self._turn: asyncio.Lock = asyncio.Lock()
        self._commands: set[asyncio.Task[object]] = set()
        self._watch()
        self._keeping: asyncio.Task[None] = asyncio.create_task(self._keep())

    async def run(self, command: Callable[[Connection], Awaitable[R]]) -> R:
        """Run one command in its turn, to its end even when the caller is cancelled.

        Raises one of AWAY when the session is lost.
        """
        task = asyncio.ensure_future(self._in_turn(command))
        self._commands.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._commands.discard(task)
        if not task.cancelled():
            task.exception()  # looked at: its caller may have been cancelled

    async def close(self) -> None:
        """End the session; its locks are given back."""
        self._lose()
        await cancel_all(self._keeping, *self._commands)
        await self._connection.close()

    async def _in_turn(self, command: Callable[[Connection], Awaitable[R]]) -> R:
        async with self._turn:
            if self.lost.is_set():
                raise ConnectionFailed("the session of the locks is lost")
            # psycopg waits for the socket itself meanwhile.
            self._unwatch()
            try:
                return await self._answer(command)
            except psycopg.Error as error:
                if is_unconnected(error) or self._connection.closed:
                    self._lose()
                raise
            finally:
                self._watch()

    async def _answer(self, command: Callable[[Connection], Awaitable[R]]) -> R:
        asking = asyncio.ensure_future(command(self._connection))
        try:
            await asyncio.wait({asking}, timeout=self._patience_s)
            if asking.done():
                return asking.result()
            # Not by a cancellation, for whose end psycopg may wait long.
            self._lose()
            raise ConnectionFailed("the session of the locks does not answer")
        finally:
            asking.cancel()

    async def _keep(self) -> None:
        """Ping now and then, and whenever the server says something unasked: its farewell."""
        while not self.lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._ping_s):
                    await self._readable.wait()
            try:
                await self.run(ticks.ping)
            except (*AWAY, psycopg.Error) as error:
                self._lose()
                log.warning(
                    "lock connection lost",
                    extra={"component": "locks", "error": " ".join(str(error).split())},
                )

    def _watch(self) -> None:
        if not self.lost.is_set():
            self._readable.clear()
            asyncio.get_running_loop().add_reader(self._connection.fileno(), self._on_readable)

    def _unwatch(self) -> None:
        if not self._connection.closed:
            asyncio.get_running_loop().remove_reader(self._connection.fileno())

    def _on_readable(self) -> None:
        self._unwatch()
        self._readable.set()

    def _lose(self) -> None:
        self._unwatch()
        self.lost.set()


async def _run_while(lost: asyncio.Event, fn: Callable[[], Awaitable[None]]) -> None:
    """Await `fn()`, which is cancelled when the lock is lost."""
    working = asyncio.ensure_future(_awaited(fn))
    losing = asyncio.ensure_future(lost.wait())
    try:
        await asyncio.wait({working, losing}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return await working
        raise LockLost("lock connection lost")
    finally:
        losing.cancel()
        await _end(working)


async def _awaited(fn: Callable[[], Awaitable[None]]) -> None:
    await fn()


async def _end(working: asyncio.Task[None]) -> None:
    if not working.done():
        stubborn = await cancel_patiently({working}, hurry=asyncio.Event())
        if stubborn:
            log.error("a tick ignores its cancellation", extra={"component": "locks"})
    if working.done() and not working.cancelled():
        working.exception()
