"""A connection that holds advisory locks and is never left unwatched.

It says that it is there now and then, since the server ends it when it does not: a process that is
frozen would else hold its locks for ever.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final, Self, TypeVar

import psycopg

from delta_cli.engine.cancelling import cancel_all, is_asked_to_end
from delta_cli.engine.database import AWAY, Connection, Database, is_unconnected
from delta_cli.engine.errors import ConnectionFailed
from delta_cli.engine.store import locks

log = logging.getLogger(__name__)
R = TypeVar("R")

_LONGEST_PING_S: Final = 3.0


class LockSession:
    """One server session. `lost` is set as soon as it is known to have ended.

    `silent_s`: how long it may say nothing before the server ends it.
    """

    def __init__(self, connection: Connection, *, silent_s: float) -> None:
        self.lost: asyncio.Event = asyncio.Event()
        self.in_transaction: bool = False
        self._connection: Connection = connection
        self._transaction: AsyncExitStack = AsyncExitStack()
        self._ping_s: float = min(silent_s / 5, _LONGEST_PING_S)
        # Together with the wait for a ping, this ends before the server gives our locks away.
        self._patience_s: float = silent_s * 3 / 5
        self._readable: asyncio.Event = asyncio.Event()
        self._turn: asyncio.Lock = asyncio.Lock()
        self._commands: set[asyncio.Task[object]] = set()
        self._keeping: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, database: Database, *, silent_s: float) -> Self:
        """A session, or a transaction behind a pooler: no more is one's own there.

        Raises ConnectionFailed.
        """
        connection = await database.connect()
        session = cls(connection, silent_s=silent_s)
        session.in_transaction = database.is_pooled
        try:
            if session.in_transaction:
                await session._transaction.enter_async_context(connection.transaction())
                await locks.guard_transaction(connection, silent_s=silent_s)
            else:
                await locks.guard_session(connection, silent_s=silent_s)
        except BaseException:
            await session.close()
            raise
        session._watch()
        session._keeping = asyncio.create_task(session._keep())
        return session

    async def try_lock(self, lock_id: int) -> bool:
        """Take a lock, unless another session has it."""
        take = locks.try_lock_in_transaction if self.in_transaction else locks.try_lock
        return await self._run(lambda connection: take(connection, lock_id))

    async def unlock(self, lock_id: int) -> None:
        """Give a lock of the session back; a transaction's end with it. A lost session has none."""
        with contextlib.suppress(*AWAY):
            await self._run(lambda connection: locks.unlock(connection, lock_id))

    async def close(self) -> None:
        """End the session; its locks are given back."""
        self._lose()
        try:
            await cancel_all(*self._commands, *([] if self._keeping is None else [self._keeping]))
        finally:
            with contextlib.suppress(*AWAY):
                await self._connection.close()
                await self._transaction.aclose()

    def forget(self) -> None:
        """End a session whose event loop was closed; its locks are given back."""
        self.lost.set()
        self._connection.pgconn.finish()

    async def _run(self, command: Callable[[Connection], Awaitable[R]]) -> R:
        """Run one command in its turn, to its end even when the caller is cancelled.

        Raises one of AWAY when the session is lost.
        """
        task = asyncio.ensure_future(self._in_turn(command))
        self._commands.add(task)
        task.add_done_callback(self._ended)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if is_asked_to_end() or not task.cancelled():
                raise
            raise ConnectionFailed("the session of the locks was closed") from None

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._commands.discard(task)
        if not task.cancelled():
            task.exception()  # looked at: its caller may have been cancelled

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
            # At once: psycopg may wait long for the end of what it cancels.
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
                await self._run(locks.ping)
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
