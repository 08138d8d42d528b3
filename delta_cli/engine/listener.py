"""LISTEN on a connection of its own. What it hears are hints; after any loss it wakes everybody."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

import psycopg
from psycopg import sql

from delta_cli.engine.database import AWAY, Connection, Database
from delta_cli.engine.store import events

log = logging.getLogger(__name__)

_ECHO: Final = "echo"
_ECHO_INTERVAL_S: Final = 10.0
_FIRST_WAIT_S: Final = 0.05
_LONGEST_WAIT_S: Final = 2.0


class Listener:
    """Calls back on hints. `None` as the payload means: hints may have been missed, look again."""

    def __init__(self, database: Database, *, identity: str) -> None:
        self._database: Database = database
        self._identity: str = identity
        self._callbacks: dict[str, list[Callable[[str | None], None]]] = {}
        self.connected: bool = False
        self.lag_ms: float | None = None

    def on(self, channel: str, callback: Callable[[str | None], None]) -> Callable[[], None]:
        """Call back for hints of a channel. Returns what takes that back."""
        self._callbacks.setdefault(channel, []).append(callback)
        return lambda: self._callbacks[channel].remove(callback)

    async def run(self, channels: tuple[str, ...]) -> None:
        """Listen until cancelled, reconnecting with growing waits."""
        wait_s = _FIRST_WAIT_S
        while True:
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
        echo_sent: float | None = None
        while True:
            async for notification in connection.notifies(timeout=_ECHO_INTERVAL_S):
                channel = notification.channel.removeprefix(f"{self._database.schema}.")
                if channel == _ECHO:
                    if notification.payload == self._identity and echo_sent is not None:
                        self.lag_ms = (time.monotonic() - echo_sent) * 1000
                        echo_sent = None
                else:
                    self._call(channel, notification.payload)
            if echo_sent is not None:
                raise psycopg.OperationalError("the listener's own echo did not come back")
            echo_sent = time.monotonic()
            await events.notify(connection, _ECHO, self._identity)

    def _call(self, channel: str, payload: str | None) -> None:
        for callback in tuple(self._callbacks.get(channel, ())):
            callback(payload)

    def _wake_all(self) -> None:
        for channel in self._callbacks:
            self._call(channel, None)
