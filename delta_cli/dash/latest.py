"""Runs one thing at a time for the newest of what was asked; what was asked in between is left.

Nothing is cancelled on the way: a cancelled query costs its connection, and a cursor that moves
fast would cost one a row.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from textual.widget import Widget

T = TypeVar("T")


class Latest(Generic[T]):
    """Calls `run`, which raises nothing, in a worker of a widget, after a rest of `rest_s`."""

    def __init__(
        self,
        widget: Widget,
        name: str,
        run: Callable[[T], Awaitable[None]],
        *,
        rest_s: float = 0.0,
    ) -> None:
        self._widget: Widget = widget
        self._name: str = name
        self._run: Callable[[T], Awaitable[None]] = run
        self._rest_s: float = rest_s
        self._next: list[T] = []
        self._is_running: bool = False

    def is_asked_else(self, what: T) -> bool:
        """Whether something other waits: what runs for this may as well end."""
        return any(one != what for one in self._next)

    @property
    def is_running(self) -> bool:
        """Whether something runs or waits."""
        return self._is_running

    def ask(self, what: T) -> None:
        """Run for this, now or when the run before has ended."""
        self._next = [what]
        if not self._is_running:
            self._is_running = True
            self._widget.run_worker(self._work, group=self._name)

    async def _work(self) -> None:
        try:
            while self._next:
                await asyncio.sleep(self._rest_s)
                await self._run(self._next.pop())
        finally:
            self._is_running = False
