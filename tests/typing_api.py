"""The public names as an application uses them. No test runs this: the type checker reads it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, assert_type

from delta_cli import (
    AdvisoryLocker,
    Client,
    Config,
    Controller,
    Event,
    EventGap,
    ExponentialBackoff,
    InformCounts,
    InformOptions,
    InformOpts,
    InformResult,
    InformRun,
    InformRunState,
    QuotaMetricsRefresher,
    Resource,
    ResourceFilter,
    ResourceRow,
    ResourceState,
    RetryPolicy,
    SkipReason,
    Snooze,
    Status,
    Subscription,
    SyncClient,
    TickOutcome,
    TickRow,
    TickRun,
    TickService,
    WorkerHealth,
    WorkerSummary,
    client_in_context,
    component_logger,
    handle_pass_result,
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


async def test_a_controller(client: Client) -> None:
    resource = Resource.of(User("a", "b"), InformOpts("eu"), last_synced=User("a", "c"))
    assert_type(resource, Resource[User])
    with client_in_context(client):
        await UserController().work(resource)


class Gauges:
    async def update_quota_metrics(self) -> None:
        pass


gauges: QuotaMetricsRefresher = Gauges()


async def sweep() -> None:
    await handle_pass_result(component_logger("sweep"), gauges, 3, None, "swept")


sweeper = TickService(
    "sweep", timedelta(minutes=5), sweep, should_run=lambda: True, on_error=lambda error: None
)
config = Config(controllers=[UserController()], ticks=[sweeper])


async def run_under(locker: AdvisoryLocker) -> None:
    assert_type(await locker.with_advisory_lock(sweeper.lock_id, sweep), bool)


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
        assert_type(await client.tick("sweep"), TickOutcome)
        for tick in await client.ticks():
            assert_type(tick, TickRow)
            assert_type(tick.last_skip_reason, SkipReason | None)
            assert_type(tick.runs[0], TickRun)
        assert_type(sweeper.health(), WorkerHealth)
        assert_type(await client.stop(), WorkerSummary | None)
        subscription = assert_type(client.subscribe(), Subscription)
        async with subscription as events:
            async for event in events:
                assert_type(event, Event | EventGap)


def use_a_sync_client() -> None:
    with SyncClient() as client:
        assert_type(client.inform(User("eve", "eve@hello.com")), InformResult)
