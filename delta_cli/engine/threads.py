"""Plain works, each in a thread of its own: a thread cannot be cancelled, only left behind."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from delta_cli.engine.resource import Resource


class WorkThreads:
    """A pool of as many threads as `capacity()` says when the first work begins."""

    def __init__(self, capacity: Callable[[], int]) -> None:
        self._capacity: Callable[[], int] = capacity
        self._pool: ThreadPoolExecutor | None = None

    def start(
        self, work: Callable[[Resource[Any]], Any], claim: Resource[Any]
    ) -> asyncio.Future[Any]:
        """Begin a work, in a copy of the caller's context."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(
                max_workers=max(1, self._capacity()), thread_name_prefix="delta-work"
            )
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._pool, lambda: context.run(_call, work, claim))

    def give_up(self) -> None:
        """Begin nothing more, and wait for nobody."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def _call(work: Callable[[Resource[Any]], Any], claim: Resource[Any]) -> Any:
    try:
        return work(claim)
    except (StopIteration, GeneratorExit) as error:
        # No future takes the one, and the other would close the coroutine that waits for it.
        raise RuntimeError(f"work() raised {type(error).__name__}") from error
