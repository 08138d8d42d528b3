import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any, LiteralString

import pytest

from delta_cli import (
    Client,
    Config,
    ExponentialBackoff,
    InformOpts,
    Permanent,
    Resource,
    ResourceDelete,
    Snooze,
)
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


class Failing:
    """Works that fail: each time, or as long as `error` gives one."""

    def __init__(self, error: Callable[[], BaseException] = lambda: ValueError("no")) -> None:
        self.error = error
        self.attempts: list[int] = []

    async def work(self, resource: Resource[Item]) -> None:
        self.attempts.append(resource.attempt)
        raise self.error()


@pytest.mark.parametrize("max_attempts", [1, 2, 5])
async def test_a_resource_is_tried_max_attempts_times_and_ends_degraded(
    dsn: str, observer: Observer, max_attempts: int
) -> None:
    failing = Failing()
    async with working(dsn, item_controller(failing.work), max_attempts=max_attempts) as client:
        await client.inform(Item("a"))
        row = await observer.until_state("a", "degraded")
        await client.wait_until_drained()
        assert failing.attempts == list(range(1, max_attempts + 1))
        assert (row["attempt"], row["due_at"]) == (max_attempts, None)
        assert [error["attempt"] for error in row["errors"]] == failing.attempts
        failed = ("object_failed", "a", "failed")
        assert await observer.events() == [failed] * (max_attempts - 1) + [
            ("object_failed", "a", "degraded")
        ]


async def test_the_attempts_of_one_inform_s_options_hold(dsn: str, observer: Observer) -> None:
    failing = Failing()
    async with working(dsn, item_controller(failing.work), max_attempts=5) as client:
        await client.inform(Item("a"), InformOpts(max_attempts=2))
        await observer.until_state("a", "degraded")
        assert failing.attempts == [1, 2]


async def test_permanent_degrades_at_once(dsn: str, observer: Observer) -> None:
    failing = Failing(lambda: Permanent("never again"))
    async with working(dsn, item_controller(failing.work), max_attempts=5) as client:
        await client.inform(Item("a"))
        row = await observer.until_state("a", "degraded")
        assert failing.attempts == [1]
        assert row["errors"][0]["message"] == "never again"


async def test_delays_grow_and_differ_and_come_from_the_database_s_clock(
    dsn: str, observer: Observer
) -> None:
    count = 8
    failing = Failing()
    backoff = ExponentialBackoff(base=seconds(100), cap=seconds(500))
    controller = item_controller(failing.work, backoff=backoff, parallelism=count)
    async with working(dsn, controller) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(count))
        for attempt, bound_s in enumerate((100, 200, 400, 500, 500), start=1):
            await eventually(lambda attempt=attempt: all_failed(observer, attempt, count))
            rows = await observer.rows(
                "select extract(epoch from due_at - updated_at)::float8 from delta_resource"
            )
            delays = [delay for (delay,) in rows]
            assert all(0 < delay <= bound_s for delay in delays)
            assert len(set(delays)) == count
            await observer.do("update delta_resource set due_at = now()")
            await client.inform(Item("wake", attempt))
            await observer.do("delete from delta_resource where object_id = 'wake'")


async def all_failed(observer: Observer, attempt: int, count: int) -> bool:
    failed = await observer.value(
        "select count(*) from delta_resource"
        " where state = 'failed' and attempt = %s and object_id <> 'wake'",
        attempt,
    )
    return failed == count


def test_the_bound_of_the_delay_grows_up_to_the_cap() -> None:
    highest = ExponentialBackoff(uniform=lambda low, high: high)
    delays = [highest.delay(attempt, ValueError()) for attempt in (1, 2, 3, 4, 100)]
    assert delays == [seconds(2), seconds(4), seconds(8), seconds(16), timedelta(hours=1)]


def test_the_jitter_covers_the_whole_range() -> None:
    policy = ExponentialBackoff(base=seconds(10), uniform=random.Random(4).uniform)
    delays = sorted(policy.delay(1, ValueError()).total_seconds() for _ in range(100))
    assert delays[0] < 1
    assert 9 < delays[-1] <= 10


async def test_each_controller_has_its_own_retry_policy(dsn: str, observer: Observer) -> None:
    failing = Failing()
    controllers = (
        item_controller(failing.work, kind="slow", backoff=Constant(seconds(1000))),
        item_controller(failing.work, kind="item", backoff=Constant(seconds(2000))),
    )
    async with working(dsn, *controllers) as client:
        await client.inform(Item("a"))
        slow = type("Slow", (Item,), {"kind": "slow"})
        await client.inform(slow("b"))
        for key, wait_s in (("a", 2000), ("b", 1000)):
            row = await observer.until_state(key, "failed")
            assert row["due_at"] - row["updated_at"] == seconds(wait_s)


@pytest.mark.parametrize("delay", [None, timedelta(seconds=-1), ZeroDivisionError("policy")])
async def test_a_wrong_retry_policy_does_not_lose_the_outcome(
    dsn: str, observer: Observer, delay: Any
) -> None:
    class Wrong:
        def delay(self, attempt: int, error: BaseException) -> Any:
            if isinstance(delay, Exception):
                raise delay
            return delay

    async with working(dsn, item_controller(Failing().work, backoff=Wrong())) as client:
        await client.inform(Item("a"))
        row = await observer.until_state("a", "failed")
        assert row["due_at"] > row["updated_at"]


async def test_snooze_does_not_count_the_attempt(dsn: str, observer: Observer) -> None:
    stage = Stage(opened=True)
    attempts: list[int] = []

    async def work(resource: Resource[Item]) -> None:
        await stage.work(resource)
        attempts.append(resource.attempt)
        if len(attempts) <= 4:
            raise Snooze(seconds(0))

    async with working(dsn, item_controller(work), max_attempts=2) as client:
        await client.inform(Item("a"))
        row = await observer.until_state("a", "synced")
        assert attempts == [1, 1, 1, 1, 1]
        assert row["errors"] == []
        assert await observer.events() == [("object_synced", "a", "synced")]


async def test_a_snoozed_resource_waits_as_long_as_it_asked(dsn: str, observer: Observer) -> None:
    failing = Failing(lambda: Snooze(seconds(3600)))
    async with working(dsn, item_controller(failing.work)) as client:
        await client.inform(Item("a"))
        await eventually(lambda: failing.attempts)
        row = await observer.until_state("a", "scheduled")
        assert (row["attempt"], row["due_at"] - row["updated_at"]) == (0, seconds(3600))


async def test_a_wait_beyond_the_calendar_is_one_of_ten_years(dsn: str, observer: Observer) -> None:
    longest, ten_years = timedelta.max, timedelta(days=3_650)
    snoozing = item_controller(Failing(lambda: Snooze(longest)).work)
    failing = item_controller(Failing().work, kind="slow", backoff=Constant(longest))
    async with working(dsn, snoozing, failing) as client:
        await client.inform(Item("a"))
        await client.inform(type("Slow", (Item,), {"kind": "slow"})("b"))
        for key, state in (("a", "scheduled"), ("b", "failed")):
            await eventually(lambda key=key: worked(observer, key))
            row = await observer.resource(key)
            assert (row["state"], row["due_at"] - row["updated_at"]) == (state, ten_years)


async def test_an_outcome_that_the_database_refuses_ends_degraded_and_says_why(
    dsn: str, observer: Observer
) -> None:
    await refuse(observer, "new.object_id = 'bad' and new.state = 'synced'")
    stage = Stage(opened=True)
    async with Client(dsn, quick_config(item_controller(stage.work, parallelism=5))) as client:
        await client.inform_many(Item(key) for key in ("a", "bad", "c"))
        await client.start()
        row = await observer.until_state("bad", "degraded")
        await observer.until_state("a", "synced")
        await observer.until_state("c", "synced")
        summary = await client.stop()
    assert "outcome refused: this will not do" in row["errors"][0]["message"]
    assert ("object_failed", "bad", "degraded") in await observer.events()
    assert summary is not None
    assert (summary.counts.synced, summary.counts.failed, summary.counts.lost) == (2, 1, 0)


async def test_a_failure_whose_error_the_database_refuses_is_tried_again(
    dsn: str, observer: Observer
) -> None:
    await refuse(observer, "new.errors::text like '%poison%'")
    failing = Failing(lambda: ValueError("poison"))
    async with working(dsn, item_controller(failing.work), max_attempts=2) as client:
        await client.inform(Item("a"))
        row = await observer.until_state("a", "degraded")
    assert failing.attempts == [1, 2]
    assert [error["attempt"] for error in row["errors"]] == [1, 2]
    assert all("this will not do" in error["message"] for error in row["errors"])


async def refuse(observer: Observer, condition: LiteralString) -> None:
    """Let the database refuse every resource of which the condition holds."""
    await observer.do(
        "create function refuse() returns trigger language plpgsql as"
        " $$ begin raise exception 'this will not do'; end $$"
    )
    await observer.do(
        "create trigger refuse before update on delta_resource for each row when ("
        + condition
        + ") execute function refuse()"
    )


async def worked(observer: Observer, key: str) -> bool:
    row = await observer.resource(key)
    return row["term"] == 1 and row["state"] != "pending"


async def test_resource_delete_deletes(dsn: str, observer: Observer) -> None:
    failing = Failing(lambda: ResourceDelete("gone"))
    async with working(dsn, item_controller(failing.work)) as client:
        await client.inform(Item("a"))
        row = await observer.until_state("a", "deleted")
        assert row["due_at"] is None
        assert await observer.events() == [("object_deleted", "a", "deleted")]
        result = await client.inform(Item("a"))
        assert (result.outcome, result.row.generation) == ("updated", 2)
        await eventually(lambda: failing.attempts == [1, 1])


@pytest.mark.parametrize("error", [SystemExit(3), BaseException("odd")])
async def test_whatever_work_raises_is_a_failed_attempt(
    dsn: str, observer: Observer, error: BaseException
) -> None:
    stage = Stage(opened=True)

    async def work(resource: Resource[Item]) -> None:
        await stage.work(resource)
        if len(stage.begun) == 1:
            raise error

    async with working(dsn, item_controller(work)) as client:
        await client.inform(Item("a"))
        row = await observer.until_state("a", "synced")
        assert (row["sync_count"], len(stage.begun)) == (1, 2)


async def test_an_error_that_the_database_cannot_store_is_stored_all_the_same(
    dsn: str, observer: Observer
) -> None:
    class Awkward(Exception):
        def __str__(self) -> str:
            raise RuntimeError("not even a message")

    errors = iter([ValueError("nul \0 and half \ud800"), Awkward(), ValueError("x" * 100_000)])
    failing = Failing(lambda: next(errors))
    async with working(dsn, item_controller(failing.work), max_attempts=3) as client:
        await client.inform(Item("a"))
        row = await observer.until_state("a", "degraded")
        first, second, third = (error["message"] for error in row["errors"])
        assert first == "nul \\0 and half \\ud800"
        assert second == "Awkward"
        assert len(third) == 4096


def test_max_attempts_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="max_attempts"):
        Config(max_attempts=0)
