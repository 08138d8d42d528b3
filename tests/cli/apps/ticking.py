"""An application whose ticks go well, fail, are switched off, last, or hang in a thread."""

import asyncio
import os
import time
from datetime import timedelta
from pathlib import Path

from delta_cli import Config, NamespaceConfig, TickService

FOLDER = Path(os.environ.get("TICKING_FOLDER", "."))
INTERVAL = timedelta(hours=1)


def fail() -> None:
    raise ValueError("no luck at postgresql://night:hunter2@db/shop \x1b[31mred")


async def wait() -> int:
    (FOLDER / "begun").touch()
    while not (FOLDER / "release").exists():
        await asyncio.sleep(0.01)
    return 1


def hang() -> None:
    (FOLDER / "begun").touch()
    time.sleep(120)


config = Config(
    namespaces={"eu": NamespaceConfig(max_workers=5)},
    ticks=[
        TickService("nightly", INTERVAL, lambda: 3),
        TickService("broken", INTERVAL, fail),
        TickService("asleep", INTERVAL, lambda: 1, should_run=lambda: False),
        TickService("slow", INTERVAL, wait),
        TickService("hanging", INTERVAL, hang),
    ],
)
