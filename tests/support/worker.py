"""A worker in a process of its own: `python -m tests.support.worker FOLDER DSN MODE [SETTINGS]`.

What its works do depends on the mode; each writes a line when it begins and one when it ends into
the file `record` of the folder. SIGTERM drains, a second one stops it hard. SETTINGS is JSON:
durations in seconds for `Config`, `parallelism`, `fleet_parallelism`, `clock_skew_s`, `informs`: it
has an informer, and `tick`: what its tick `app` does `tick_every` so many seconds.
"""

import asyncio
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator
from dataclasses import asdict
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from delta_cli import Client, InformOptions, Resource, TickService
from tests.support.engine import Item, item_controller, quick_config, seconds

POLL_S = 0.01


class Works:
    """What works do, by mode."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ticks = itertools.count()
        self._record = os.open(folder / "record", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, what: str, resource: Resource[Item]) -> None:
        self._note(what, resource.object_id, resource.term)

    def _note(self, what: str, object_id: str, number: int) -> None:
        line = [what, object_id, os.getpid(), time.monotonic_ns(), number]
        os.write(self._record, (json.dumps(line) + "\n").encode())

    async def tick_briefly(self) -> int:
        number = next(self._ticks)
        self._note("begin", "tick", number)
        await asyncio.sleep(0.02)
        self._note("end", "tick", number)
        return 1

    async def tick_hanging(self) -> None:
        """Tick until the test makes the file `gate`, or this is cancelled."""
        number = next(self._ticks)
        self._note("begin", "tick", number)
        try:
            while not (self._folder / "gate").exists():
                await asyncio.sleep(POLL_S)
        finally:
            self._note("end", "tick", number)

    async def quick(self, resource: Resource[Item]) -> None:
        self.write("begin", resource)
        await asyncio.sleep(0.002)
        self.write("end", resource)

    async def brief(self, resource: Resource[Item]) -> None:
        self.write("begin", resource)
        await asyncio.sleep(0.02)
        self.write("end", resource)

    async def hang(self, resource: Resource[Item]) -> None:
        """Work until the test makes the file `gate`."""
        self.write("begin", resource)
        while not (self._folder / "gate").exists():
            await asyncio.sleep(POLL_S)
        self.write("end", resource)

    def hang_in_thread(self, resource: Resource[Item]) -> None:
        self.write("begin", resource)
        while not (self._folder / "gate").exists():
            time.sleep(POLL_S)
        self.write("end", resource)

    async def block(self, resource: Resource[Item]) -> None:
        """Freeze the whole process, as a work that never yields does, until the gate opens."""
        self.hang_in_thread(resource)

    async def kill(self, resource: Resource[Item]) -> None:
        self.write("begin", resource)
        if resource.object.value:
            os.kill(os.getpid(), signal.SIGKILL)
        self.write("end", resource)

    async def listing(self, options: InformOptions) -> AsyncGenerator[Item]:
        """Report one object at once, and another when the test makes the file `gate`."""
        yield Item("early")
        while not (self._folder / "gate").exists():
            await asyncio.sleep(POLL_S)
        yield Item("late")

    async def fail(self, resource: Resource[Item]) -> None:
        self.write("begin", resource)
        raise ValueError("no")


async def run(folder: Path, dsn: str, mode: str, settings: dict[str, Any]) -> None:
    works = Works(folder)
    limits = {
        "parallelism": settings.pop("parallelism", 4),
        "fleet_parallelism": settings.pop("fleet_parallelism", None),
    }
    tick, tick_every_s = settings.pop("tick", None), settings.pop("tick_every", 0.1)
    inform = works.listing if settings.pop("informs", False) else None
    config: dict[str, Any] = {
        name: seconds(value) if isinstance(value, float) else value
        for name, value in settings.items()
    }
    if tick is not None:
        config["ticks"] = [TickService("app", seconds(tick_every_s), getattr(works, tick))]
    controller = item_controller(getattr(works, mode), inform=inform, **limits)
    async with Client(dsn, quick_config(controller, **config)) as client:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        terms: list[asyncio.Task[Any]] = []

        def stop() -> None:
            terms.append(asyncio.create_task(client.stop(hard=stopping.is_set())))
            stopping.set()

        loop.add_signal_handler(signal.SIGTERM, stop)
        await client.start()
        say("started")
        summary = await client.wait()
        say(json.dumps(asdict(summary) if summary else None))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def skew_clock(by_s: float) -> None:
    """Let this process's clock go wrong, for the engine and all it calls."""
    real_time, shift = time.time, timedelta(seconds=by_s)

    class Kind(type(datetime)):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, datetime)

    class Skewed(datetime, metaclass=Kind):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + shift

    time.time = lambda: real_time() + by_s
    for name, module in list(sys.modules.items()):
        if name.startswith("delta_cli") and getattr(module, "datetime", None) is datetime:
            module.datetime = Skewed  # pyright: ignore[reportAttributeAccessIssue]


if __name__ == "__main__":
    given = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
    if skew := given.pop("clock_skew_s", None):
        skew_clock(skew)
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2], sys.argv[3], given))
