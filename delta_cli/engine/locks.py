"""Advisory locks that hold a tick for one process of the fleet.

When the session that holds a lock breaks, what runs under the lock is cancelled at once.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

from delta_cli.engine.cancelling import cancel_patiently
from delta_cli.engine.database import Database
from delta_cli.engine.errors import LockLost
from delta_cli.engine.lock_session import LockSession

log = logging.getLogger(__name__)


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
    """Session locks of Postgres, all on one connection of its own, opened when first needed.

    `lost_after`: how long this process may be silent before the server gives its locks to others.
    Behind a pooler each lock is a transaction on a connection of its own.
    """

    def __init__(self, database: Database, *, lost_after: timedelta) -> None:
        self._database: Database = database
        self._lost_after_s: float = lost_after.total_seconds()
        self._held: set[int] = set()
        self._shared: LockSession | None = None
        self._opening: asyncio.Lock = asyncio.Lock()

    async def with_advisory_lock(self, lock_id: int, fn: Callable[[], Awaitable[None]]) -> bool:
        """As `AdvisoryLocker` says. Raises one of AWAY when no lock can be asked for."""
        # A session may take its own lock twice, so what it holds is refused here. Behind a pooler
        # a lock keeps one of its few server sessions, and what runs under it needs another: one
        # lock at a time, or the locks of a worker would take them all.
        if lock_id in self._held or (self._held and self._database.is_pooled):
            return False
        self._held.add(lock_id)
        try:
            async with self._lock(lock_id) as session:
                if session is None:
                    return False
                await _run_while(session.lost, fn)
        finally:
            self._held.discard(lock_id)
        return True

    async def close(self) -> None:
        """Close the session; its locks are given back."""
        shared, self._shared = self._shared, None
        if shared is not None:
            await shared.close()

    def forget(self) -> None:
        """As `close()`, once the session's event loop was closed."""
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.forget()

    @asynccontextmanager
    async def _lock(self, lock_id: int) -> AsyncIterator[LockSession | None]:
        """The session that holds the lock; None when another has it."""
        session = await self._session()
        taken: bool | None = None  # not known while the question is under way
        try:
            taken = await session.try_lock(lock_id)
            yield session if taken else None
        finally:
            if session is not self._shared:
                await session.close()
            elif taken is not False:
                await session.unlock(lock_id)

    async def _session(self) -> LockSession:
        async with self._opening:
            if self._shared is not None and not self._shared.lost.is_set():
                return self._shared
            await self.close()
            session = await LockSession.open(self._database, silent_s=self._lost_after_s)
            if not session.in_transaction:
                self._shared = session
            return session


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
    if not working.done() and await cancel_patiently({working}, hurry=asyncio.Event()):
        log.error("a tick ignores its cancellation", extra={"component": "locks"})
    if working.done() and not working.cancelled():
        working.exception()  # looked at: its caller is told of something else
