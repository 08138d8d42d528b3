"""Ends tasks for good: one request to cancel is not always enough."""

import asyncio
from typing import Any, Final

_ASK_AGAIN_S: Final = 0.2


async def cancel_all(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they have ended, however they end.

    Before Python 3.12, `asyncio.wait_for`, on which psycopg_pool stands, drops a cancellation that
    comes at the same moment as what it waits for. So who has not ended soon is asked again.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        ended, left = await asyncio.wait(left, timeout=_ASK_AGAIN_S)
        for task in ended:
            if not task.cancelled():
                task.exception()  # looked at, so that nothing warns of it
