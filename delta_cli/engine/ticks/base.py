"""What the passes share: run one at its interval, log what it moved, and survive its failures."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from delta_cli.engine.database import AWAY

log = logging.getLogger(__name__)


class PassLoop:
    """Runs one pass at its interval, the first after a random part of half the interval.

    A failed pass is logged and tried again at the next interval. `immediate`: the first pass does
    not wait. `on_moved` is called after a pass that moved rows.
    """

    def __init__(
        self,
        name: str,
        interval: timedelta,
        work: Callable[[], Awaitable[int]],
        *,
        immediate: bool = False,
        on_moved: Callable[[], None] | None = None,
    ) -> None:
        self.name: str = name
        self.interval: timedelta = interval
        self._work: Callable[[], Awaitable[int]] = work
        self._immediate: bool = immediate
        self._on_moved: Callable[[], None] | None = on_moved

    async def run(self) -> None:
        """Run passes until cancelled."""
        interval_s = self.interval.total_seconds()
        if not self._immediate:
            await asyncio.sleep(random.uniform(0, interval_s / 2))
        while True:
            await self.run_once()
            await asyncio.sleep(interval_s)

    async def run_once(self) -> int:
        """One pass. Returns how many rows it moved, 0 when it failed."""
        began = time.monotonic()
        try:
            count = await self._work()
        except AWAY as error:
            log.debug("pass skipped", extra={"component": self.name, "error": str(error)})
            return 0
        except Exception:
            log.exception("pass failed", extra={"component": self.name})
            return 0
        if count:
            duration_ms = round((time.monotonic() - began) * 1000)
            log.info(
                "pass completed",
                extra={"component": self.name, "count": count, "duration_ms": duration_ms},
            )
            if self._on_moved is not None:
                self._on_moved()
        return count
