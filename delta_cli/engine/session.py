"""An open connection to one Delta: the pool, the hints, the listener, and the embedded server."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg_pool import PoolTimeout

from delta_cli.engine import callers, schema
from delta_cli.engine.cancelling import cancel_all
from delta_cli.engine.config import Config
from delta_cli.engine.controller import Controllers
from delta_cli.engine.database import Connection, Database
from delta_cli.engine.dsn import resolve_dsn
from delta_cli.engine.embedded import EmbeddedServer
from delta_cli.engine.errors import ConfigError, DeltaError
from delta_cli.engine.explain import explain, not_text
from delta_cli.engine.hints import WORK, HintSender
from delta_cli.engine.listener import Listener
from delta_cli.engine.own_loop import OwnLoop
from delta_cli.engine.statements import Steps, run_steps, run_through
from delta_cli.engine.store import events, overview, registry

R = TypeVar("R")
CallersConnection: TypeAlias = psycopg.AsyncConnection[Any]


class Session:
    """What a client has open. `open()` also makes the application's kinds and namespaces known.

    `dry_run`: it does not, whatever is done is undone at once, and nobody is told.
    """

    def __init__(
        self,
        dsn: str | None,
        config: Config,
        controllers: Controllers,
        *,
        dry_run: bool = False,
    ) -> None:
        self.dry_run: bool = dry_run
        self._given_dsn: str | None = dsn
        self._config: Config = config
        self._controllers: Controllers = controllers
        self._database: Database | None = None
        self._embedded: EmbeddedServer | None = None
        self._hints: HintSender | None = None
        self._listeners: dict[tuple[str, ...], Listener] = {}
        self._background: list[asyncio.Task[None]] = []
        self._exits: AsyncExitStack = AsyncExitStack()
        self._own_loop: OwnLoop = OwnLoop()
        # All our connections bear it, and nobody else's: by it, those of a lost worker are found.
        self._name: str = f"delta {os.getpid()}-{secrets.token_hex(4)}"

    async def open(self) -> None:
        """Connect, check the schema, and make the application known.

        Raises ConfigError when it is open, or being opened; then it stays as it is.
        """
        self._own_loop.enter()
        try:
            await self._open()
        except BaseException as error:
            try:
                await self._exits.aclose()
            finally:
                self._own_loop.leave()
            if isinstance(error, psycopg.Error):
                dsn = self._database.dsn if self._database is not None else ""
                raise explain(error, dsn, self._config.schema) or error from error
            raise

    async def _open(self) -> None:
        dsn, is_embedded = await self._find_dsn()
        self._database = self._database_at(dsn)
        await self._database.open()
        if self._database.is_pooled and self._config.direct_dsn is None:
            # LISTEN is of one server session, which a pooler gives to whoever comes next.
            self._config = replace(self._config, poll_only=True)
        self._exits.push_async_callback(self._database.close)
        async with self._database.connection() as connection:
            # Who may change nothing is told to migrate, as with any other database.
            if is_embedded and not await overview.is_read_only(connection):
                await schema.migrate(connection, schema=self._config.schema)
            await schema.require_current(connection, schema=self._config.schema)
            adopted = 0 if self.dry_run else await self._register(connection)
        self._hints = HintSender(self._database, enabled=self._config.notify)
        self._run_in_background(self._hints.run())
        if adopted:
            self.send_hint(WORK, self._controllers)

    def _database_at(self, dsn: str) -> Database:
        return Database(dsn, schema=self._config.schema, application_name=self._name)

    async def _find_dsn(self) -> tuple[str, bool]:
        source = resolve_dsn(self._given_dsn, os.environ)
        if source.dsn is not None:
            return source.dsn, False
        # The same one again after a lost loop, which did not leave it.
        server = self._embedded = self._embedded or EmbeddedServer()
        dsn = await asyncio.to_thread(server.join)
        self._exits.push_async_callback(asyncio.to_thread, server.leave)
        return dsn, True

    async def _register(self, connection: Connection) -> int:
        for name, namespace in self._config.namespaces.items():
            await registry.register_namespace(connection, name, namespace)
        if not self._controllers:
            return 0
        return await registry.register_controllers(
            connection,
            self._controllers,
            default_interval=self._config.resource_inform_interval,
            namespaces=self._config.namespaces,
        )

    async def close(self) -> None:
        """End what runs in the background and close every connection."""
        self.require_own_loop()
        try:
            await cancel_all(*self._background)
            if self._hints is not None:
                await self._hints.flush()
        finally:
            try:
                await self._exits.aclose()
            finally:
                self._forget()

    def forget_if_lost(self) -> bool:
        """Let go of what is open in an event loop that has ended; whether there was such a loop.

        Its tasks have ended with it. What the pool held open there stays so until the process ends.
        """
        is_lost = self._own_loop.is_lost
        if is_lost:
            self._forget()
        return is_lost

    def _forget(self) -> None:
        self._exits = AsyncExitStack()
        self._background.clear()
        self._listeners.clear()
        self._database = None
        self._own_loop.leave()

    @property
    def database(self) -> Database:
        """The open database. Raises DeltaError when it is not open, or belongs to another loop."""
        self.require_own_loop()
        if self._database is None:
            raise not_open()
        return self._database

    def require_own_loop(self) -> None:
        """Raises DeltaError under another event loop, or in another process, than it is open in."""
        self._own_loop.require()

    @property
    def config(self) -> Config:
        """The application's settings; in poll-only mode where a pooler leaves no other."""
        return self._config

    @property
    def hints(self) -> HintSender:
        """Sends hints in transactions of their own. Raises DeltaError when not open."""
        if not self.database or self._hints is None:
            raise not_open()
        return self._hints

    def listener(self, *channels: str) -> Listener | None:
        """What listens to these channels, from when it is first asked for; None in poll-only mode.

        Who works and who subscribes have one each: a hint wakes every session that listens to it.
        Raises DeltaError where no event loop runs, as in the thread of a plain `work()`.
        """
        config = self._config
        if config.poll_only and config.direct_dsn is None:
            return None
        self._own_loop.require_running()
        if channels not in self._listeners:
            database = self.database
            if config.direct_dsn is not None:
                database = self._database_at(config.direct_dsn)
            identity = f"{os.getpid()}-{id(self):x}-{channels[0]}"
            listener = Listener(database, echo_from=self.database, identity=identity)
            self._run_in_background(listener.run(channels))
            # Only now: others are given it, and one that does not run would tell them nothing.
            self._listeners[channels] = listener
        return self._listeners[channels]

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection whose errors are Delta's own, where a user can do something about them."""
        try:
            async with self.database.connection() as connection:
                if not self.dry_run:
                    yield connection
                    return
                # In a use of its own, so that nothing stays locked between two of them.
                async with connection.transaction(force_rollback=True):
                    yield connection
        except (psycopg.Error, PoolTimeout) as error:
            raise explain(error, self.database.dsn, self._config.schema) or error from error

    def refuse_in_dry_run(self, what: str) -> None:
        """Raises ConfigError in a dry run, which cannot undo this."""
        if self.dry_run:
            raise ConfigError(f"a client in a dry run does not {what}")

    def refuse_callers_in_dry_run(self, connection: CallersConnection | None) -> None:
        """Raises ConfigError for a caller's connection in a dry run: its transaction may commit."""
        if self.dry_run and connection is not None:
            raise ConfigError(
                "a client in a dry run does not join a transaction, which may commit",
                hint="leave `connection` out, or roll the transaction back yourself, with a client"
                " that is in no dry run",
            )

    async def rehearse(self, steps: Steps[R]) -> R:
        """Run steps of a dry run that need the application known, and undo that with them."""
        async with self.connection() as connection:
            await self._register(connection)
            return await run_steps(connection, steps)

    async def run(self, steps: Steps[R], within: CallersConnection | None = None) -> R:
        """Run steps on a connection of our own, or inside the transaction of a caller's."""
        try:
            if within is not None:
                async with callers.within(within, self.database.schema) as cursor:
                    return await run_through(cursor, steps)
            async with self.connection() as own:
                return await run_steps(own, steps)
        except UnicodeEncodeError as error:
            raise not_text(error) from None

    async def hint(
        self, channel: str, payloads: Iterable[str], within: CallersConnection | None = None
    ) -> None:
        """Wake others soon; or, from inside a caller's transaction, when that commits."""
        if within is None:
            self.send_hint(channel, payloads)
            # The sender's turn, before the caller's next statement: somebody may wait for the hint.
            await asyncio.sleep(0)
        elif self._config.notify:
            # Only here does NOTIFY ride in the transaction that it tells of: we do not see its end.
            await self.run(events.notify_steps(channel, sorted(payloads)), within)

    def send_hint(self, channel: str, payloads: Iterable[str] = ("",)) -> None:
        """Wake others soon."""
        if self.dry_run:
            return
        for payload in payloads:
            self.hints.send(channel, payload)

    def _run_in_background(self, loop: Coroutine[Any, Any, None]) -> None:
        self._background.append(asyncio.create_task(loop))


def not_open() -> DeltaError:
    """What a call is told before a client is open, or while it closes."""
    return DeltaError("the client is not open", hint="use it as: async with Client(...) as client")
