"""Small applications for tests of the engine: an object class, and controllers of functions."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from delta_cli import Client, Config, Controller, ObjectSettings, Resource, RetryPolicy


@dataclass
class Item:
    """The object of most tests: `value` is what changes."""

    key: str
    value: int = 0
    kind: ClassVar[str] = "item"

    @property
    def id(self) -> str:
        return self.key


Work = Callable[[Resource[Item]], Any]
Inform = Callable[[Any], Any]


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


@dataclass(frozen=True)
class Constant:
    """A retry policy that always waits the same."""

    wait: timedelta = timedelta(milliseconds=10)

    def delay(self, attempt: int, error: BaseException) -> timedelta:
        return self.wait


def kind_of_item(kind: str, **settings: Any) -> type[Item]:
    """A class of items of its own kind, with its own settings."""
    body = {"kind": kind, "settings": classmethod(lambda _: ObjectSettings(**settings))}
    return dataclass(type(Item.__name__, (Item,), body))


def item_controller(
    work: Work,
    *,
    kind: str = "item",
    inform: Inform | None = None,
    backoff: RetryPolicy | None = None,
    **settings: Any,
) -> Controller[Any]:
    """A controller of items. `settings` are those of `ObjectSettings`."""
    item_class = kind_of_item(kind, **settings)

    async def work_async(self: Any, resource: Resource[Item]) -> Any:
        return await work(resource)

    def work_plain(self: Any, resource: Resource[Item]) -> Any:
        return work(resource)

    body: dict[str, Any] = {
        "object_class": classmethod(lambda _: item_class),
        "work": work_async if inspect.iscoroutinefunction(work) else work_plain,
        "backoff": backoff or Constant(),
    }
    if inform is not None:
        body["inform"] = lambda _, options: inform(options)
    return type("ItemController", (Controller,), body)()


def quick_config(*controllers: Controller[Any], **settings: Any) -> Config:
    """Settings under which things happen at once, and no informer runs on its own."""
    quick: dict[str, Any] = {
        "resource_inform_interval": seconds(-1),
        "poll_interval": seconds(0.1),
        "rescue_interval": seconds(0.1),
        "maintenance_interval": seconds(0.1),
        "heartbeat_interval": seconds(0.2),
        "shutdown_timeout": seconds(5),
    }
    return Config(controllers=controllers, **quick | settings)


#: A worker that is silent for a moment is lost. Only for tests of that: a busy machine is slow too.
IMPATIENT: dict[str, Any] = {
    "heartbeat_interval": seconds(0.2),
    "worker_lost_after": seconds(1),
    "rescue_interval": seconds(0.2),
}


@contextlib.asynccontextmanager
async def working(
    dsn: str, *controllers: Controller[Any], **settings: Any
) -> AsyncIterator[Client]:
    """A client that works. What still runs at the end is abandoned."""
    async with Client(dsn, quick_config(*controllers, **settings)) as client:
        await client.start()
        try:
            yield client
        finally:
            await client.stop(hard=True)


class Stage:
    """Where works are seen to begin and wait until they may end."""

    def __init__(self, *, opened: bool = False) -> None:
        self.begun: list[Item] = []
        self.running: int = 0
        self.most_running: int = 0
        self.open = asyncio.Event()
        if opened:
            self.open.set()

    @property
    def values(self) -> list[int]:
        """The value of each object that was worked, in the order of the works' beginnings."""
        return [item.value for item in self.begun]

    async def work(self, resource: Resource[Item]) -> None:
        self.begun.append(resource.object)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.open.wait()
        finally:
            self.running -= 1
