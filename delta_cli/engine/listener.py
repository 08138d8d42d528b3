"""LISTEN on a connection of its own. What it hears are hints; after any loss it wakes everybody.

A connection can stay open and hear nothing, so every few seconds it is sent an echo from another
connection, and replaced when that does not arrive.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import psycopg
from psycopg import sql

from delta_cli.engine.cancelling import cancel_all
from delta_cli.engine.database import AWAY, Connection, Database
from delta_cli.engine.store import events

log = logging.getLogger(__name__)

_ECHO: Final = "echo"
#: A dead connection is noticed within two of these.
_ECHO_INTERVAL: Final = timedelta(seconds=5)
_FIRST_WAIT_S: Final = 0.05
_LONGEST_WAIT_S: Final = 2.0


class Listener:
    """Calls back on hints. `None` as the payload means: hints may have been missed, look again.

    It is connected only while somebody wants to be called, and some seconds longer. `echo_from`
    sends the echoes, by the way that hints come.
    """

    def __init__(
        self,
        database: Database,
        *,
        echo_from: Database,
        identity: str,
        echo_interval: timedelta = _ECHO_INTERVAL,
    ) -> None:
        self._database: Database = database
        self._echo_from: Database = echo_from
        self._echo_interval_s: float = echo_interval.total_seconds()
        self._identity: str = identity
        self._callbacks: dict[str, list[Callable[[str | None], None]]] = {}
        self._wanted: asyncio.Event = asyncio.Event()
        self._echo_sent: float | None = None  # time.monotonic()
        self.connected: bool = False
        self.lag_ms: float | None = None

    def on(self, channel: str, callback: Callable[[str | None], None]) -> Callable[[], None]:
        """Call back for hints of a channel. Returns what takes that back."""
        self._callbacks.setdefault(channel, []).append(callback)
        self._wanted.set()
        return lambda: self._callbacks[channel].remove(callback)

    async def run(self, channels: tuple[str, ...]) -> None:
        """Listen until cancelled, reconnecting with growing waits."""
        wait_s = _FIRST_WAIT_S
        while True:
            await self._wanted.wait()
            try:
                connection = await self._database.connect()
                async with connection:
                    await self._listen(connection, (*channels, _ECHO))
                    wait_s = _FIRST_WAIT_S
                    await self._hear(connection)
            except (*AWAY, psycopg.Error) as error:
                if self.connected or wait_s == _FIRST_WAIT_S:
                    log.warning(
                        "listener lost",
                        extra={"component": "listener", "error": " ".join(str(error).split())},
                    )
            self.connected, self.lag_ms = False, None
            self._wake_all()
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    async def _listen(self, connection: Connection, channels: tuple[str, ...]) -> None:
        for channel in channels:
            name = sql.Identifier(f"{self._database.schema}.{channel}")
            await connection.execute(sql.SQL("listen {}").format(name))
        self.connected = True
        self._wake_all()

    async def _hear(self, connection: Connection) -> None:
        """Until nobody wants to be called any more."""
        while any(self._callbacks.values()):
            self._echo_sent = None
            echoing = asyncio.create_task(self._send_echo())
            try:
                heard = await self._hear_for_a_while(connection)
            finally:
                await cancel_all(echoing)
            if self._echo_sent is not None and not heard:
                raise psycopg.OperationalError("the listener's own echo did not come back")
        self._wanted.clear()

    async def _hear_for_a_while(self, connection: Connection) -> bool:
        """Call back for what is heard. Returns whether the echo was among it."""
        heard = False
        async for notification in connection.notifies(timeout=self._echo_interval_s):
            channel = notification.channel.removeprefix(f"{self._database.schema}.")
            if channel != _ECHO:
                self._call(channel, notification.payload)
            elif notification.payload == self._identity and self._echo_sent is not None:
                self.lag_ms = (time.monotonic() - self._echo_sent) * 1000
                heard = True
        return heard

    async def _send_echo(self) -> None:
        # An echo that cannot be sent says nothing of the listener.
        with contextlib.suppress(*AWAY):
            async with self._echo_from.connection() as connection:
                self._echo_sent = time.monotonic()
                await events.notify(connection, _ECHO, self._identity)

    def _call(self, channel: str, payload: str | None) -> None:
        for callback in tuple(self._callbacks.get(channel, ())):
            callback(payload)

    def _wake_all(self) -> None:
        for channel in self._callbacks:
            self._call(channel, None)
