"""Hints that wake others: NOTIFY in small transactions of its own, merged.

A hint is never needed for correctness: whoever misses one finds the rows by polling. NOTIFY
serialises the commits of a whole server, so it never rides in the transaction of a completion.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import psycopg

from delta_cli.engine.database import AWAY, Database
from delta_cli.engine.dsn import mask_secrets
from delta_cli.engine.store import events

log = logging.getLogger(__name__)

WORK: Final = "work"  # payload: a kind with rows that are due, or a lane as "kind namespace"
INFORM: Final = "inform"  # payload: a kind with a queued inform run
EVENT: Final = "event"  # no payload
CONTROL: Final = "control"  # no payload: limits, grants, pauses or cancels have changed

#: Lanes of one batch that are hinted at one by one; of more, only the kind.
_MOST_LANES: Final = 8
_FLUSH_TIMEOUT_S: Final = 1.0


def lanes_of(kind: str, namespaces: Iterable[str]) -> set[str]:
    """The payloads that tell of due rows of a kind in these namespaces."""
    lanes = {f"{kind} {namespace}" for namespace in namespaces}
    return lanes if len(lanes) <= _MOST_LANES else {kind}


class HintSender:
    """Sends at once when idle, and at most every `merge_over` when busy, each hint once.

    After an error the hints are dropped: whoever waits for them polls. Not `enabled`: so are all.
    """

    def __init__(
        self,
        database: Database,
        *,
        enabled: bool = True,
        merge_over: timedelta = timedelta(milliseconds=10),
    ) -> None:
        self._database: Database = database
        self._enabled: bool = enabled
        self._merge_over: float = merge_over.total_seconds()
        self._waiting: set[tuple[str, str]] = set()
        self._wake: asyncio.Event = asyncio.Event()

    def send(self, channel: str, payload: str = "") -> None:
        """Send a hint soon."""
        if self._enabled:
            self._waiting.add((channel, payload))
            self._wake.set()

    async def run(self) -> None:
        """Send hints until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._send_waiting()
            await asyncio.sleep(self._merge_over)

    async def flush(self) -> None:
        """Send what waits still, if that does not take long: this process may end right after."""
        if self._waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_TIMEOUT_S):
                    await self._send_waiting()

    async def _send_waiting(self) -> None:
        batch, self._waiting = self._waiting, set()
        try:
            async with self._database.connection() as connection:
                for channel, payload in batch:
                    await events.notify(connection, channel, payload)
        except asyncio.CancelledError:
            self._waiting |= batch  # a hint may come twice
            raise
        except (*AWAY, psycopg.Error) as error:
            log.debug("hints dropped", extra={"error": mask_secrets(str(error))})
