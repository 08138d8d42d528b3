"""An application for tests of the command line; the names of its items say how their work goes."""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from delta_cli import (
    Config,
    Controller,
    ExponentialBackoff,
    InformOptions,
    ObjectSettings,
    Permanent,
    Resource,
)

FOLDER = Path(os.environ.get("SHOP_FOLDER", "."))
LATER = ExponentialBackoff(base=timedelta(hours=1), floor=timedelta(hours=1))


@dataclass
class Item:
    id: str
    name: str = "good"
    price: int = 0
    kind: ClassVar[str] = "item"

    @classmethod
    def settings(cls) -> ObjectSettings:
        return ObjectSettings(parallelism=10, inform_interval=timedelta(seconds=-1))


class ItemController(Controller[Item]):
    backoff = LATER

    async def work(self, resource: Resource[Item]) -> None:
        match resource.object.name:
            case "bad":
                raise Permanent("no such item at postgresql://shop:hunter2@db/shop \x1b[31mred")
            case "failing":
                raise ValueError("not today")
            case "waiting":
                (FOLDER / "begun").touch()
                while not (FOLDER / "release").exists():
                    await asyncio.sleep(0.01)
            case _:
                return

    def inform(self, options: InformOptions) -> Iterator[Item]:
        if "fail" in options.labels:
            raise OSError("the shop is closed")
        while "endless" in options.labels:
            (FOLDER / "begun").touch()
            time.sleep(0.01)
            yield Item("listed-again")
        refused = int(options.labels.get("refused", 0))
        for number in range(options.limit or 3):
            key = f"listed-{number}" if number >= refused else ""
            yield Item(key, options.labels.get("name", "good"))


@dataclass
class Stuck:
    id: str
    kind: ClassVar[str] = "stuck"

    @classmethod
    def settings(cls) -> ObjectSettings:
        return ObjectSettings(inform_interval=timedelta(seconds=-1))


class StuckController(Controller[Stuck]):
    def work(self, resource: Resource[Stuck]) -> None:
        (FOLDER / "begun").touch()
        time.sleep(60)  # a thread that nothing can interrupt


config = Config(controllers=[ItemController(), StuckController()])
