"""Has the limits of the fleet shared afresh as soon as this worker's part in them has moved."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from delta_cli.engine.database import while_away
from delta_cli.engine.loops.base import Worker

_AGAIN_S: Final = 0.05
_LONGEST_WAIT_S: Final = 1.0


class Rebalancer:
    """Forces a rebalance whenever woken. `force` returns False when that is to be tried again."""

    def __init__(self, worker: Worker, *, force: Callable[[], Awaitable[bool]]) -> None:
        self._worker: Worker = worker
        self._force: Callable[[], Awaitable[bool]] = force

    async def run(self) -> None:
        """Force rebalances until cancelled."""
        while True:
            await self._worker.rebalance_wake.wait()
            self._worker.rebalance_wake.clear()
            await self.force()

    async def force(self) -> None:
        """Until one ran from its beginning: one under way may be older than what has moved."""
        wait_s = _AGAIN_S
        while not await while_away("rebalancer", self._force):
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
