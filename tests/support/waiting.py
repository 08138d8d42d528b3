"""Waiting on a condition with a deadline: the one place where a test may sleep."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

Value = TypeVar("Value")

POLL_INTERVAL_S = 0.01


async def eventually(
    condition: Callable[[], Value | Awaitable[Value]], *, within: float = 30.0
) -> Value:
    """What `condition()` gives or awaits, as soon as that is true; fails after `within` seconds."""
    value: Value | None = None
    deadline = asyncio.timeout(within)
    try:
        async with deadline:
            while True:
                given = condition()
                value = await given if inspect.isawaitable(given) else given
                if value:
                    return value
                await asyncio.sleep(POLL_INTERVAL_S)
    except TimeoutError:
        if not deadline.expired():
            raise
    pytest.fail(f"not within {within:g} s: {_source(condition)}; the last value was {value!r}")


def _source(condition: Callable[[], object]) -> str:
    try:
        return " ".join(inspect.getsource(condition).split())
    except (OSError, TypeError):
        return repr(condition)
