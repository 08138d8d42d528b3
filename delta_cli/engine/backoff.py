"""When a failed resource is tried again: exponential backoff with full jitter and a cap.

Full jitter (a uniform draw below the exponential bound) spreads the retries of many resources that
failed together better than a fixed delay with some noise; see "Exponential Backoff And Jitter",
AWS Architecture Blog, 2015.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, runtime_checkable

from delta_cli.engine.field_types import check_fields
from delta_cli.engine.settings import check_positive


@runtime_checkable
class RetryPolicy(Protocol):
    """Says how long to wait before the next attempt. A controller may bring its own."""

    def delay(self, attempt: int, error: BaseException) -> timedelta:
        """The wait after the given attempt (1 for the first of a round) failed with `error`."""
        ...


@dataclass(frozen=True, slots=True)
class ExponentialBackoff:
    """Waits a random time below `base * factor ** (attempt - 1)`, never above `cap`.

    `floor` keeps a lucky draw from retrying at once.
    """

    base: timedelta = timedelta(seconds=2)
    factor: float = 2.0
    cap: timedelta = timedelta(hours=1)
    floor: timedelta = timedelta(milliseconds=100)
    uniform: Callable[[float, float], float] = random.uniform

    def __post_init__(self) -> None:
        check_fields(self)
        check_positive("base", self.base)
        check_positive("cap", self.cap)

    def bound(self, attempt: int) -> timedelta:
        """The longest wait that may be drawn after this attempt."""
        # The exponent is capped before the power: attempt 10,000 must not overflow a float.
        growth = self.factor ** min(attempt - 1, 64)
        return min(self.cap, timedelta(seconds=min(self.base.total_seconds() * growth, 1e9)))

    def delay(self, attempt: int, error: BaseException) -> timedelta:
        """A uniform draw between the floor and the bound."""
        high = self.bound(attempt).total_seconds()
        low = min(self.floor.total_seconds(), high)
        return timedelta(seconds=self.uniform(low, high))
