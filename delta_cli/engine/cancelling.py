"""Ends tasks for good: one request to cancel is not always enough."""

import asyncio
from collections.abc import Collection
from typing import Any, Final

_ASK_AGAIN_S: Final = 0.2
#: How long users' code may clean up before it is asked again, and after that.
_CLEAN_UP_S: Final = 2.0
_LAST_WAIT_S: Final = 1.0


def is_asked_to_end() -> bool:
    """Whether somebody has cancelled this task; else a cancellation came up from what it awaits."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def is_running(task: asyncio.Task[Any] | None) -> bool:
    """Whether this is called from within a task. Not when its coroutine is closed: that is removed.

    So a GeneratorExit that came up is told from the closing of who awaits it.
    """
    try:
        return asyncio.current_task() is task
    except RuntimeError:  # no event loop runs
        return False


async def cancel_all(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they have ended, however they end.

    Before Python 3.12, `asyncio.wait_for`, on which psycopg_pool stands, drops a cancellation that
    comes at the same moment as what it waits for. So who has not ended soon is asked again.
    """
    left = set(tasks)
    while left:
        _cancel(left)
        ended, left = await asyncio.wait(left, timeout=_ASK_AGAIN_S)
        for task in ended:
            if not task.cancelled():
                task.exception()  # looked at, so that nothing warns of it


async def cancel_patiently(
    tasks: Collection[asyncio.Task[Any]], *, hurry: asyncio.Event
) -> set[asyncio.Task[Any]]:
    """Cancel tasks that run users' code, and let them clean up; less long once told to `hurry`.

    Returns those that ignore it: nobody waits for them any longer.
    """
    left = {task for task in tasks if not task.done()}
    hurrying = asyncio.create_task(hurry.wait())
    try:
        _cancel(left)
        until = asyncio.get_running_loop().time() + _CLEAN_UP_S
        while left and not hurry.is_set():
            wait_s = until - asyncio.get_running_loop().time()
            if wait_s <= 0:
                break
            await asyncio.wait(
                {*left, hurrying}, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED
            )
            left = {task for task in left if not task.done()}
    finally:
        hurrying.cancel()
    if left:
        _cancel(left)
        _, left = await asyncio.wait(left, timeout=_LAST_WAIT_S)
    return left


def _cancel(tasks: Collection[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
