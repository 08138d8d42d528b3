"""An application whose ticks go well, fail, are switched off, or last until they are let go."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

from delta_cli import Config, TickService

FOLDER = Path(os.environ.get("TICKING_FOLDER", "."))
INTERVAL = timedelta(hours=1)


def fail() -> None:
    raise ValueError("no luck at postgresql://night:hunter2@db/shop \x1b[31mred")


async def wait() -> int:
    (FOLDER / "begun").touch()
    while not (FOLDER / "release").exists():
        await asyncio.sleep(0.01)
    return 1


config = Config(
    ticks=[
        TickService("nightly", INTERVAL, lambda: 3),
        TickService("broken", INTERVAL, fail),
        TickService("asleep", INTERVAL, lambda: 1, should_run=lambda: False),
        TickService("slow", INTERVAL, wait),
    ]
)
