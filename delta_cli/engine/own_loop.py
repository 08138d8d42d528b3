"""The event loop and the process that an open client belongs to: its connections work in no other.

Used from another loop, those that wait there are never woken; used in a forked child, they are the
parent's.
"""

import asyncio
import os

from delta_cli.engine.context import has_client_in_context
from delta_cli.engine.errors import ConfigError, DeltaError


class OwnLoop:
    """None while the client is closed."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid: int = 0

    def enter(self) -> None:
        """Belong to the running loop from now on. Raises ConfigError when it is entered already."""
        self.require()
        if self._loop is not None:
            raise ConfigError(
                "this client is open already",
                hint="open it once and share it, or make a Client for each use",
            )
        self._loop, self._pid = asyncio.get_running_loop(), os.getpid()

    @property
    def is_lost(self) -> bool:
        """Whether the loop was closed without leaving it: nothing can end there what was open."""
        return self._loop is not None and self._pid == os.getpid() and self._loop.is_closed()

    def leave(self) -> None:
        """Belong to none."""
        self._loop = None

    def require(self) -> None:
        """Raises DeltaError in another process, and under another loop; where none runs, it may.

        So a plain `work()`, in its thread, can make an awaitable and return it.
        """
        if self._loop is None:
            return
        if self._pid != os.getpid():
            raise DeltaError(
                "this client belongs to another process, which was forked",
                hint="open a Client in each process, after the fork",
            )
        if self._loop.is_closed():
            raise DeltaError(
                "the event loop of this client has ended, and it was not closed there",
                hint="open it in the loop that uses it, and close it there: async with client",
            )
        if _running_loop() not in (None, self._loop):
            raise DeltaError("this client belongs to another event loop", hint=_hint())

    def require_running(self) -> None:
        """As `require()`; and raises DeltaError where no event loop runs."""
        self.require()
        if _running_loop() is None:
            raise DeltaError(
                "this needs the client's event loop, and none runs here",
                hint="make work() `async def`",
            )


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _hint() -> str:
    if has_client_in_context():
        return "return the awaitable from work(), make it `async def`, or use SyncClient"
    return "open it in the loop that uses it, or use SyncClient"
