"""What the parts of a tick share: the run that is under way, its logger, and a pass's place."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from delta_cli.engine.config import Config
from delta_cli.engine.database import Database
from delta_cli.engine.model.tick import SkipReason


def _new_run_id() -> str:
    return secrets.token_hex(6)


@dataclass(slots=True)
class Run:
    """One tick that is under way. A pass may say here what it counted, or that it was no run."""

    id: str = field(default_factory=_new_run_id)
    count: int | None = None
    count_key: str | None = None
    skip_reason: SkipReason | None = None


#: The tick on whose behalf this code runs.
current_run: ContextVar[Run | None] = ContextVar("delta_tick_run", default=None)


class ComponentLogger(logging.LoggerAdapter[Any]):
    """Adds the component, and the id of the tick's run that is under way, to every record."""

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[object, MutableMapping[str, Any]]:
        """As the base class says; a field given with a record wins."""
        run = current_run.get()
        fields = dict(self.extra or {})
        if run is not None:
            fields["run_id"] = run.id
        kwargs["extra"] = fields | (kwargs.get("extra") or {})
        return msg, kwargs


def component_logger(
    slug: str, logger: logging.Logger | logging.LoggerAdapter[Any] | None = None
) -> ComponentLogger:
    """The logger of a service or another component: its records carry `component` and `run_id`.

    `run_id` only while a tick runs. `logger`: where to write instead of Delta's own.
    """
    return ComponentLogger(logger or logging.getLogger("delta_cli.ticks"), {"component": slug})


@dataclass(frozen=True, slots=True)
class PassPlace:
    """What the built-in passes work with.

    `wake` tells all processes, on a channel of hints, that rows have moved. `may_judge`: whether
    this process may tell which workers are lost.
    """

    database: Database
    config: Config
    wake: Callable[[str], Awaitable[None]]
    may_judge: Callable[[], bool]


async def despite_cancellation(step: Awaitable[object], *, timeout_s: float) -> None:
    """Await to the end, for a given time at most, though this task is asked to end meanwhile.

    What the step raises is dropped.
    """
    task = asyncio.ensure_future(step)
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout_s
    while not task.done() and loop.time() < until:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({task}, timeout=until - loop.time())
    task.cancel()
    if task.done() and not task.cancelled():
        task.exception()
