"""Works that run on although they are over: threads, and tasks that ignore their cancellation.

Until one ends, its resource is not worked beside it in this process.
"""

import asyncio
from typing import Any

from delta_cli.engine.resource import Resource


class Overrunning:
    """What runs on, of which resource."""

    def __init__(self) -> None:
        self._resources: dict[asyncio.Future[Any], int] = {}

    def add(self, running: asyncio.Future[Any], claim: Resource[Any]) -> None:
        """Count a thread, or a task, until it ends."""
        self._resources[running] = claim.id
        running.add_done_callback(self._ended)

    def has(self, claim: Resource[Any]) -> bool:
        """Whether an earlier work of its resource runs on."""
        return bool(self._resources) and claim.id in self._resources.values()

    @property
    def threads(self) -> int:
        """How many plain works run on."""
        return len(self._resources) - self.tasks

    @property
    def tasks(self) -> int:
        """How many async works run on."""
        return sum(isinstance(running, asyncio.Task) for running in self._resources)

    def _ended(self, running: asyncio.Future[Any]) -> None:
        del self._resources[running]
        if not running.cancelled():
            running.exception()  # looked at, so that nothing warns of it
