"""What `work()` is and what it returns: code that is only handed over has not run.

A function with a `yield` in it returns at once, whatever it is called for, so that an object which
was never worked would count as synced.
"""

import inspect
from collections.abc import Callable
from typing import Any


def never_runs(work: Callable[..., Any]) -> bool:
    """Whether calling this runs none of it: it is a generator function, async or not."""
    return inspect.isgeneratorfunction(work) or inspect.isasyncgenfunction(work)


async def see_to(result: Any) -> None:
    """Await what a work returned, if it can be; other values mean nothing.

    Raises TypeError for a generator: nobody runs it.
    """
    while inspect.isawaitable(result):
        result = await result
    if inspect.isgenerator(result) or inspect.isasyncgen(result):
        name = getattr(result, "__qualname__", "unknown")
        raise TypeError(
            f"work() returned the {type(result).__name__.replace('_', ' ')} {name}, of which "
            "nothing has run: remove the yield, or run it to its end inside work()"
        )
