"""The public names as an application uses them. No test runs this: the type checker reads it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, assert_type

from delta_cli import (
    Client,
    Config,
    Controller,
    Event,
    EventGap,
    ExponentialBackoff,
    InformCounts,
    InformOptions,
    InformResult,
    InformRun,
    InformRunState,
    Resource,
    ResourceFilter,
    ResourceRow,
    ResourceState,
    RetryPolicy,
    Snooze,
    Status,
    Subscription,
    SyncClient,
    WorkerSummary,
)


@dataclass
class User:
    id: str
    email: str
    kind: ClassVar[str] = "user"


class UserController(Controller[User]):
    backoff: RetryPolicy = ExponentialBackoff()

    async def inform(self, options: InformOptions) -> AsyncIterator[User]:
        yield User("ann", "ann@hello.com")

    async def work(self, resource: Resource[User]) -> None:
        assert_type(resource.object, User)
        assert_type(resource.last_synced, User | None)
        raise Snooze(timedelta(minutes=1))


config = Config(controllers=[UserController()])


async def use_a_client() -> None:
    async with Client(config=config) as client:
        result = assert_type(await client.inform(User("eve", "eve@hello.com")), InformResult)
        assert_type(result.row, ResourceRow)
        assert_type(result.row.state, ResourceState)
        assert_type(await client.inform_many([User("a", "b")]), InformCounts)
        run = assert_type(await client.schedule_inform("user"), InformRun)
        assert_type(run.state, InformRunState)
        async for row in client.resources(ResourceFilter()):
            assert_type(row, ResourceRow)
        assert_type(await client.status(), Status)
        assert_type(await client.stop(), WorkerSummary | None)
        subscription = assert_type(client.subscribe(), Subscription)
        async with subscription as events:
            async for event in events:
                assert_type(event, Event | EventGap)


def use_a_sync_client() -> None:
    with SyncClient() as client:
        assert_type(client.inform(User("eve", "eve@hello.com")), InformResult)
