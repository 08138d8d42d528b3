"""Calls a user's function: a coroutine function here, any other in a thread."""

import asyncio
import contextlib
import contextvars
import inspect
import logging
from collections.abc import Callable
from typing import Any, Final

from delta_cli.engine.cancelling import is_running

log = logging.getLogger(__name__)

#: How long a cancelled call waits for its thread, which nobody can end.
_THREAD_PATIENCE_S: Final = 2.0


async def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns or awaits. A thread sees the context variables of the caller.

    Raises what the function raises, but RuntimeError instead of what closes coroutines.
    """
    caller = asyncio.current_task()
    try:
        if _is_async(function):
            return await function(*arguments)
        result = await _in_thread(function, *arguments)
        return await result if inspect.isawaitable(result) else result
    except GeneratorExit as error:
        if not is_running(caller):
            raise
        raise RuntimeError("GeneratorExit was raised") from error


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - of an object, not whether it has one
    )


async def _in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    def contained() -> Any:
        try:
            return function(*arguments)
        except (StopIteration, GeneratorExit) as error:
            # No future takes the one, and the other would close the coroutine that waits for it.
            raise RuntimeError(f"{type(error).__name__} was raised") from error

    # Not as a task: an exit that the function asks for would end the event loop.
    context = contextvars.copy_context()
    thread = asyncio.get_running_loop().run_in_executor(None, context.run, contained)
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        with contextlib.suppress(BaseException):
            async with asyncio.timeout(_THREAD_PATIENCE_S):
                await asyncio.shield(thread)
        if not thread.done():
            log.warning("a cancelled thread goes on", extra={"function": repr(function)})
        raise
