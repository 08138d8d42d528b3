"""Faults 14 to 26: what upstream forgets, overwrites or works too often."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from delta_cli import (
    Client,
    Controller,
    InformOptions,
    InformOpts,
    InformRun,
    NamespaceConfig,
    Permanent,
    Resource,
    ResourceDelete,
    client_from_context,
)
from delta_cli.engine.store import maintenance
from tests.support.engine import (
    Constant,
    Item,
    Stage,
    item_controller,
    quick_config,
    seconds,
    working,
)
from tests.support.observing import Observer
from tests.support.waiting import eventually

HOUR = timedelta(hours=1)


@dataclass
class File:
    """An object that knows its age."""

    name: str
    modified: int
    made: datetime | None = None
    kind: ClassVar[str] = "file"

    @property
    def id(self) -> str:
        return self.name

    @property
    def created_at(self) -> datetime | None:
        return self.made

    def compare(self, other: "File") -> int:
        return self.modified - other.modified


class Files(Controller[File]):
    """Reports what it was given."""

    def __init__(self, *files: File) -> None:
        self.files = list(files)
        self.after: list[datetime | None] = []

    async def work(self, resource: Resource[File]) -> None:
        pass

    async def inform(self, options: InformOptions) -> AsyncGenerator[File]:
        self.after.append(options.after)
        for file in self.files:
            yield file


async def no_work(resource: Resource[Any]) -> None:
    pass


async def failing_work(resource: Resource[Any]) -> None:
    raise ConnectionError("the system outside is down")


async def run_informer(client: Client, kind: str = "item", **options: Any) -> InformRun:
    """Queue a run and wait for its end."""
    run = await client.schedule_inform(kind, InformOptions(**options))

    async def ended() -> InformRun | None:
        now = await client.inform_run(run.id)
        return now if now.finished_at else None

    ended_run = await eventually(ended)
    assert ended_run is not None
    return ended_run


# 14, 15: informs and the running work


async def test_14_an_inform_of_the_object_under_work_returns_at_once_and_is_worked_after(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a", 1))
        await eventually(lambda: stage.running)
        async with asyncio.timeout(2):
            result = await client.inform(Item("a", 2))
        assert (result.row.state, result.row.generation) == ("pending", 2)
        stage.open.set()
        row = await observer.until_state("a", "synced")
    assert (stage.values, row["synced_generation"]) == ([1, 2], 2)


async def test_14_a_work_may_inform_its_own_object(dsn: str, observer: Observer) -> None:
    worked: list[int] = []

    async def work(resource: Resource[Item]) -> None:
        worked.append(resource.object.value)
        if resource.object.value < 3:
            await client_from_context().inform(Item("a", resource.object.value + 1))

    async with working(dsn, item_controller(work)) as client:
        await client.inform(Item("a", 1))
        await observer.until_state("a", "synced")
    assert worked == [1, 2, 3]


async def test_15_an_equal_object_is_not_worked_again(dsn: str, observer: Observer) -> None:
    stage = Stage(opened=True)
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a", 1))
        before = await observer.until_state("a", "synced")
        assert (await client.inform(Item("a", 1))).outcome == "unchanged"
        assert await observer.resource("a") == before


async def test_15_an_older_object_does_not_overwrite_a_newer_one(dsn: str) -> None:
    async with Client(dsn, quick_config(Files())) as client:
        await client.inform(File("a", 2))
        result = await client.inform(File("a", 1))
        assert (result.outcome, result.row.object["modified"]) == ("stale", 2)
        assert (await client.inform_many([File("a", 1)])).stale == 1


async def test_15_an_informer_run_does_not_bring_older_objects_back_either(
    dsn: str, observer: Observer
) -> None:
    async with working(dsn, Files(File("a", 1), File("b", 1))) as client:
        await client.inform(File("a", 2))
        run = await run_informer(client, "file")
        assert (run.counts.stale, run.counts.created) == (1, 1)
        assert (await client.get("file", "a")).object["modified"] == 2


# 16 to 18: how often


async def test_16_informs_before_the_work_are_one_work(dsn: str, observer: Observer) -> None:
    stage = Stage(opened=True)
    async with Client(dsn, quick_config(item_controller(stage.work))) as client:
        for value in range(5):
            await client.inform(Item("a", value))
        await client.start()
        row = await observer.until_state("a", "synced")
    assert (stage.values, row["errors"], row["sync_count"]) == ([4], [], 1)


async def test_16_an_informer_run_does_not_pull_a_failed_resource_out_of_its_backoff(
    dsn: str, observer: Observer
) -> None:
    reported = [Item("a")]
    controller = item_controller(
        failing_work, inform=lambda options: reported, backoff=Constant(HOUR)
    )
    async with working(dsn, controller) as client:
        await client.inform(Item("a"))
        before = await observer.until_state("a", "failed")
        assert (await run_informer(client, process_existing=True)).counts.unchanged == 1
        assert (await client.inform(Item("a"))).outcome == "unchanged"
        assert await observer.resource("a") == before


@pytest.mark.parametrize("state", ["synced", "deleted", "degraded"])
async def test_17_what_has_ended_is_not_claimed_again(
    state: str, dsn: str, observer: Observer
) -> None:
    async def work(resource: Resource[Item]) -> None:
        if resource.object_id == "deleted":
            raise ResourceDelete
        if resource.object_id == "degraded":
            raise Permanent

    async with working(dsn, item_controller(work)) as client:
        await client.inform(Item(state))
        row = await observer.until_state(state, state)
        assert (row["due_at"], row["lease_until"], row["worker_id"]) == (None, None, None)
        await client.inform(Item("next"))
        await observer.until_state("next", "synced")
        assert await observer.resource(state) == row


async def test_17_a_late_completion_does_not_bring_a_deleted_resource_back(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a"))
        await eventually(lambda: stage.running)
        await observer.do(
            "update delta_resource set state = 'deleted', term = term + 1, due_at = null,"
            " lease_until = null, worker_id = null"
        )
        before = await observer.resource("a")
        stage.open.set()
        await client.inform(Item("b"))
        await observer.until_state("b", "synced")
        assert await observer.resource("a") == before


@pytest.mark.parametrize("attempts", [1, 3])
async def test_18_max_attempts_is_honoured(dsn: str, observer: Observer, attempts: int) -> None:
    worked: list[int] = []

    async def work(resource: Resource[Item]) -> None:
        worked.append(resource.attempt)
        raise ConnectionError("down")

    async with working(dsn, item_controller(work)) as client:
        await client.inform(Item("a"), InformOpts(max_attempts=attempts))
        row = await observer.until_state("a", "degraded")
    assert worked == list(range(1, attempts + 1))
    assert (row["attempt"], len(row["errors"])) == (attempts, attempts)


async def test_18_the_kinds_own_max_attempts_is_honoured(dsn: str, observer: Observer) -> None:
    controller = item_controller(failing_work, max_attempts=2)
    async with working(dsn, controller) as client:
        await client.inform(controller.object_class()("a"))
        row = await observer.until_state("a", "degraded")
    assert row["attempt"] == 2


# 19, 20: for years


async def test_19_counters_go_beyond_what_years_of_expiry_need(
    dsn: str, observer: Observer
) -> None:
    async with working(dsn, item_controller(no_work)) as client:
        await client.inform(Item("a"))
        await observer.until_state("a", "synced")
        await observer.do(
            "update delta_resource set term = 1000000000, sync_count = 10000000000,"
            " generation = 1000000000, synced_generation = 1000000000"
        )
        await client.inform(Item("a", 2))

        async def synced_again() -> bool:
            return (await observer.resource("a"))["sync_count"] == 10_000_000_001

        await eventually(synced_again)
        row = await observer.resource("a")
    assert (row["attempt"], row["term"]) == (0, 1_000_000_001)


async def test_19_the_attempt_is_one_again_after_each_sync(dsn: str, observer: Observer) -> None:
    attempts: list[int] = []

    async def work(resource: Resource[Item]) -> None:
        attempts.append(resource.attempt)

    async with working(dsn, item_controller(work)) as client:
        await client.inform(Item("a"))
        for _ in range(3):
            await observer.until_state("a", "synced")
            await client.invalidate("item", "a")
        await observer.until_state("a", "synced")
    assert attempts == [1, 1, 1, 1]


async def test_20_expiry_is_no_error(dsn: str, observer: Observer) -> None:
    namespaces = {"default": NamespaceConfig(expiry_ttl=timedelta(milliseconds=1))}
    async with working(dsn, item_controller(no_work), namespaces=namespaces) as client:
        await client.inform(Item("a"))

        async def synced_often() -> bool:
            return (await observer.resource("a"))["sync_count"] >= 4

        await eventually(synced_often)
        assert (await observer.resource("a"))["errors"] == []


async def test_20_errors_have_their_trace_and_end_with_the_round(
    dsn: str, observer: Observer
) -> None:
    down = True

    async def work(resource: Resource[Item]) -> None:
        if down:
            raise ConnectionError("the system outside is down")

    controller = item_controller(work, backoff=Constant(HOUR))
    async with working(dsn, controller) as client:
        await client.inform(Item("a"))
        await observer.until_state("a", "failed")
        (error,) = (await client.get("item", "a")).errors
        assert (error.attempt, error.error) == (1, "ConnectionError")
        assert error.message == "the system outside is down"
        assert "in work" in (error.trace or "")
        down = False
        await client.retry("item", "a")
        await observer.until_state("a", "synced")
        assert (await client.get("item", "a")).errors == []


async def test_20_rescues_leave_no_more_errors_than_attempts(dsn: str, observer: Observer) -> None:
    async with Client(dsn, quick_config(item_controller(no_work), max_attempts=3)) as client:
        await client.inform(Item("a"))
        for value in range(1, 8):
            await observer.do(
                "update delta_resource set state = 'pending', due_at = null, worker_id = 0,"
                " term = term + 1, attempt = attempt + 1, attempted_at = now(), lease_until = now()"
            )
            # An inform during the work: the rescue begins a new round, time and again.
            await client.inform(Item("a", value))
            async with client.database.connection() as connection:
                assert await maintenance.rescue_resources(connection, batch=10) == 1
        row = await observer.resource("a")
    assert [error["error"] for error in row["errors"]] == ["WorkerLost"] * 3
    assert (row["state"], row["attempt"]) == ("scheduled", 0)


# 21 to 25: namespaces and informers


async def test_21_one_id_in_two_namespaces_is_two_resources(dsn: str) -> None:
    async with Client(dsn, quick_config(item_controller(no_work))) as client:
        await client.inform(Item("a", 1), InformOpts(namespace="acme"))
        assert (await client.inform(Item("a", 2), InformOpts(namespace="beta"))).outcome == (
            "created"
        )
        values = [
            (await client.get("item", "a", namespace=name)).object["value"]
            for name in ("acme", "beta")
        ]
    assert values == [1, 2]


async def test_22_an_informer_that_raises_has_failed_and_moves_no_watermark(dsn: str) -> None:
    class Failing(Files):
        async def inform(self, options: InformOptions) -> AsyncGenerator[File]:
            yield File("a", 1, made=datetime(2024, 1, 1, tzinfo=UTC))
            raise ConnectionError("listing broke off")

    async with working(dsn, Failing()) as client:
        run = await run_informer(client, "file")
        assert (run.state, run.counts.created) == ("failed", 1)
        assert "listing broke off" in (run.error or "")
    listing = Files()
    async with working(dsn, listing) as client:
        await run_informer(client, "file")
    assert listing.after == [None]


async def test_22_a_failed_run_by_hand_makes_no_kind_inform_on_its_own(
    dsn: str, observer: Observer
) -> None:
    class Failing(Files):
        async def inform(self, options: InformOptions) -> AsyncGenerator[File]:
            raise ConnectionError("listing broke off")
            yield

    async with working(dsn, Failing()) as client:
        assert (await run_informer(client, "file")).state == "failed"
    assert await observer.rows("select inform_failures, inform_due_at from delta_controller") == [
        (1, None)
    ]


@pytest.mark.parametrize(
    ("interval", "expected"),
    [(None, HOUR), (timedelta(0), None), (timedelta(seconds=-1), None), (2 * HOUR, 2 * HOUR)],
)
async def test_22_an_interval_of_zero_or_less_switches_off_and_none_inherits(
    dsn: str, observer: Observer, interval: timedelta | None, expected: timedelta | None
) -> None:
    controller = item_controller(no_work, inform=lambda _: [], inform_interval=interval)
    async with Client(dsn, quick_config(controller, resource_inform_interval=HOUR)):
        assert await observer.value("select inform_interval from delta_controller") == expected


async def test_23_a_time_in_the_future_does_not_stop_later_runs(
    dsn: str, observer: Observer
) -> None:
    listing = Files(File("a", 1, made=datetime.now(UTC) + timedelta(days=365)))
    async with working(dsn, listing) as client:
        await run_informer(client, "file")
        await run_informer(client, "file")
    assert await observer.value(
        "select last_inform_time <= now() from delta_controller where kind = 'file'"
    )
    assert listing.after[0] is None
    assert listing.after[1] is not None
    assert listing.after[1] < datetime.now(UTC)


async def test_23_runs_overlap_so_that_nothing_falls_between_two(
    dsn: str, observer: Observer
) -> None:
    made = datetime(2024, 6, 1, 12, tzinfo=UTC)
    listing = Files(File("a", 1, made=made))
    async with working(dsn, listing) as client:
        await run_informer(client, "file")
        await run_informer(client, "file")
    assert listing.after == [None, made - timedelta(minutes=1)]


async def test_24_a_listing_longer_than_its_timeout_ends_well_while_it_reports(
    dsn: str, observer: Observer
) -> None:
    async def inform(options: InformOptions) -> AsyncGenerator[Item]:
        for number in range(6):
            await asyncio.sleep(0.1)
            yield Item(f"{number}")

    controller = item_controller(no_work, inform=inform, inform_timeout=seconds(0.3))
    async with working(dsn, controller) as client:
        run = await run_informer(client)
    assert (run.state, run.counts.created) == ("succeeded", 6)


async def test_24_a_listing_that_stalls_fails_and_keeps_what_it_had_reported(dsn: str) -> None:
    async def inform(options: InformOptions) -> AsyncGenerator[Item]:
        yield Item("a")
        await asyncio.Event().wait()

    controller = item_controller(no_work, inform=inform, inform_timeout=seconds(0.2))
    async with working(dsn, controller) as client:
        run = await run_informer(client)
        assert (run.state, run.counts.created) == ("failed", 1)
        assert (await client.get("item", "a")).object["key"] == "a"


async def test_25_a_running_informer_blocks_no_work_of_its_kind(
    dsn: str, observer: Observer
) -> None:
    listing = asyncio.Event()

    async def inform(options: InformOptions) -> AsyncGenerator[Item]:
        yield Item("a")
        await listing.wait()

    async with working(dsn, item_controller(no_work, inform=inform, parallelism=1)) as client:
        run = await client.schedule_inform("item")
        await client.inform(Item("b"))
        await observer.until_state("b", "synced")
        assert (await client.inform_run(run.id)).state == "running"
        listing.set()


async def test_25_a_running_plain_informer_blocks_nothing_either(
    dsn: str, observer: Observer
) -> None:
    listing = threading.Event()

    def inform(options: InformOptions) -> Iterator[Item]:
        yield Item("a")
        assert listing.wait(20)

    async with working(dsn, item_controller(no_work, inform=inform, parallelism=1)) as client:
        await client.schedule_inform("item")
        await client.inform(Item("b"))
        await observer.until_state("b", "synced")
        listing.set()


# 26: deleted


async def test_26_an_informer_run_skips_deleted_resources_and_says_so(dsn: str) -> None:
    async with working(dsn, Files(File("a", 1), File("b", 1))) as client:
        await client.inform(File("a", 1))
        await client.wait_until_drained()
        await client.delete("file", "a")
        run = await run_informer(client, "file")
        assert (run.counts.skipped, run.counts.created) == (1, 1)
        assert (await client.get("file", "a")).state == "deleted"
        changed = await client.inform(File("a", 2))
        assert (changed.outcome, changed.row.state in ("scheduled", "pending")) == ("updated", True)


async def test_26_a_tombstone_can_be_kept_for_ever(dsn: str, observer: Observer) -> None:
    for_ever = {"default": NamespaceConfig(deleted_retention=timedelta(days=36_500))}
    config = quick_config(item_controller(no_work), namespaces=for_ever)
    async with Client(dsn, config) as client:
        await client.inform(Item("a"))
        await client.delete("item", "a")
        await observer.do("update delta_resource set updated_at = now() - interval '3 years'")
        async with client.database.connection() as connection:
            cleaned = await maintenance.clean_resources(
                connection, batch=10, synced=HOUR, degraded=HOUR, deleted=HOUR
            )
        assert cleaned == 0
