"""Advances a plain iterator in threads, since it may block on what it reads from.

What it gave is not kept back by what it waits for next.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from itertools import islice
from typing import Any, Final

#: Objects that are gathered in one trip to a thread: no iterator runs further ahead.
_CHUNK: Final = 100
#: How long what has been gathered may wait for the rest of its chunk. No informer's time limit
#: should be shorter.
_LINGER_S: Final = 0.05


async def gathered_in_threads(iterator: Iterator[Any]) -> AsyncGenerator[Any, None]:
    """The objects of an iterator, which is ours alone; then what it raised.

    A generator that is left unread is closed in a thread too, unless its next object hangs: then
    once that has come, and nobody waits.
    """
    gathering = _Gathering(iterator)
    try:
        while not gathering.has_ended:
            chunk = gathering.begin()
            while not chunk.done():
                await asyncio.wait((chunk,), timeout=_LINGER_S)
                while gathering.objects:
                    yield gathering.objects.popleft()
        if gathering.failure is not None:
            raise gathering.failure
    finally:
        await gathering.stop()


class _Gathering:
    """What a thread gathers: `objects` grow on their own until the chunk is done."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self.objects: deque[Any] = deque()
        self.has_ended: bool = False
        self.failure: BaseException | None = None
        self._iterator: Iterator[Any] = iterator
        self._chunk: asyncio.Future[None] | None = None
        self._is_stopped: bool = False
        self._context: contextvars.Context = contextvars.copy_context()

    def begin(self) -> asyncio.Future[None]:
        """Gather one chunk more."""
        self._chunk = self._in_thread(self._gather)
        return self._chunk

    async def stop(self) -> None:
        """Gather nothing more. Raises what the cleanup of the iterator raises."""
        self._is_stopped = True
        if self._chunk is not None and self._chunk.done() and not self.has_ended:
            await self._in_thread(self._close)

    def _in_thread(self, function: Callable[[], None]) -> asyncio.Future[None]:
        # Not as a task: an exit that the iterator asks for would end the event loop.
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(None, self._context.run, function)

    def _gather(self) -> None:
        count = 0
        try:
            for obj in islice(self._iterator, _CHUNK):
                if self._is_stopped:
                    break
                self.objects.append(obj)
                count += 1
        except BaseException as error:  # noqa: BLE001 - raised again once the objects before it are told
            self.failure = error
        self.has_ended = count < _CHUNK
        if self._is_stopped:
            self._close()

    def _close(self) -> None:
        if isinstance(self._iterator, Generator):
            self._iterator.close()
