"""Faults 34 to 39, and what was seen by running upstream."""

import asyncio
import time
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from delta_cli import (
    Client,
    Event,
    EventGap,
    InformOpts,
    NamespaceConfig,
    Resource,
    StateConflict,
    TickOutcome,
)
from delta_cli.engine.embedded import EmbeddedServer
from delta_cli.engine.store import maintenance
from delta_cli.engine.ticks.clean import clean
from delta_cli.engine.ticks.expire import expire
from tests.support.engine import Item, Stage, item_controller, quick_config, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

HOUR = timedelta(hours=1)


async def no_work(resource: Resource[Any]) -> None:
    pass


async def synced_long_ago(dsn: str, observer: Observer, count: int) -> None:
    namespaces = {"default": NamespaceConfig(expiry_ttl=HOUR)}
    async with Client(dsn, quick_config(item_controller(no_work), namespaces=namespaces)) as client:
        await client.inform_many(Item(f"{number}") for number in range(count))
    await observer.do(
        "update delta_resource set state = 'synced', due_at = null, synced_generation = 1,"
        " synced_at = now() - interval '1 day', updated_at = now() - interval '1 day'"
    )


# Events


async def test_34_a_client_without_controllers_sees_what_others_did(dsn: str) -> None:
    async with (
        Client(dsn) as reader,
        working(dsn, item_controller(no_work)) as client,
        reader.subscribe("object_synced") as events,
        asyncio.timeout(20),
    ):
        await client.inform(Item("a"))
        event = await anext(events)
    assert isinstance(event, Event)
    assert (event.object_id, event.state) == ("a", "synced")


async def test_34_events_are_there_for_who_comes_later(dsn: str, observer: Observer) -> None:
    async with working(dsn, item_controller(no_work)) as client:
        await client.inform(Item("a"))
        await observer.until_state("a", "synced")
    async with Client(dsn) as reader:
        events = [event async for event in reader.subscribe(after=0, follow=False)]
    assert [(event.category, event.object_id) for event in events if isinstance(event, Event)] == [
        ("object_synced", "a")
    ]


async def test_34_a_reader_that_sleeps_loses_nothing(dsn: str, observer: Observer) -> None:
    async with Client(dsn) as reader, reader.subscribe("object_synced") as events:
        async with working(dsn, item_controller(no_work, parallelism=100)) as client:
            await client.inform_many(Item(f"{number}") for number in range(1_500))
            await observer.until_all("synced", 1_500)
        async with asyncio.timeout(20):
            seen = [await anext(events) for _ in range(1_500)]
    ids = [event.id for event in seen if isinstance(event, Event)]
    assert len(ids) == 1_500
    assert all(before < after for before, after in pairwise(ids))


async def log_of(observer: Observer, count: int, *, cut: int = 0) -> None:
    """Add events to the log, and cut all up to an id."""
    await observer.do(
        "insert into delta_event (category, resource_id, namespace, kind, object_id, state,"
        " attempt, max_attempts, generation, sync_count)"
        " select 'object_synced', 1, 'default', 'item', 'a', 'synced', 1, 10, 1, 1"
        " from generate_series(1, %s)",
        count,
    )
    await observer.do("delete from delta_event where id <= %s", cut)


def told(items: list[Event | EventGap]) -> list[int | EventGap]:
    """The ids of events, and the gaps between them."""
    return [item.id if isinstance(item, Event) else item for item in items]


async def test_34_a_follower_that_falls_behind_retention_is_told_once_each_time(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn) as client, client.subscribe(after=0) as events, asyncio.timeout(20):
        await log_of(observer, 2)
        seen = [await anext(events) for _ in range(2)]
        await log_of(observer, 5, cut=4)
        seen += [await anext(events) for _ in range(4)]
        await log_of(observer, 3, cut=9)
        seen += [await anext(events) for _ in range(2)]
    assert told(seen) == [1, 2, EventGap(2), 5, 6, 7, EventGap(2), 10]


async def test_34_who_resumes_on_a_log_that_is_wholly_cut_is_told_when_it_goes_on(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn) as client:
        await log_of(observer, 10, cut=10)
        async with client.subscribe(after=5) as events, asyncio.timeout(20):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(events), 0.1)  # the log is empty as yet
            await log_of(observer, 2)
            seen = [await anext(events) for _ in range(3)]
    assert told(seen) == [EventGap(5), 11, 12]


async def test_34_a_cut_is_told_also_to_who_chose_other_events(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn) as client:
        await log_of(observer, 10, cut=7)
        seen = [event async for event in client.subscribe("object_failed", after=3, follow=False)]
    assert told(seen) == [EventGap(4)]


async def test_34_a_hole_among_the_ids_is_no_gap(dsn: str, observer: Observer) -> None:
    async with Client(dsn) as client:
        await log_of(observer, 6)
        await observer.do("delete from delta_event where id in (3, 4)")
        seen = [event async for event in client.subscribe(after=2, follow=False)]
    assert told(seen) == [5, 6]


async def test_35_a_subscription_ends_when_it_is_closed(dsn: str) -> None:
    async with Client(dsn) as client:
        events = client.subscribe()

        async def read() -> list[Any]:
            return [event async for event in events]

        reading = asyncio.create_task(read())
        await events.begin()
        await asyncio.sleep(0)
        await events.aclose()
        async with asyncio.timeout(5):
            assert await reading == []


async def test_35_closing_a_client_leaves_no_task_behind(dsn: str) -> None:
    before = asyncio.all_tasks()
    async with working(dsn, item_controller(no_work)) as client, client.subscribe() as events:
        await client.inform(Item("a"))
        await anext(events)

    async def all_ended() -> bool:
        return asyncio.all_tasks() <= before

    await eventually(all_ended)


# Maintenance


async def test_36_expiry_moves_a_bounded_batch_at_a_time(dsn: str, observer: Observer) -> None:
    await synced_long_ago(dsn, observer, 25)
    async with Client(dsn) as client, client.database.connection() as connection:
        moved = [await maintenance.expire_resources(connection, batch=10) for _ in range(4)]
    assert moved == [10, 10, 5, 0]


async def test_36_cleaning_that_runs_out_of_time_keeps_what_it_has_done(
    dsn: str, observer: Observer
) -> None:
    count = 60_000
    await synced_long_ago(dsn, observer, count)
    await observer.do("update delta_namespace set expiry_ttl = null, synced_retention = '1 hour'")
    config = quick_config(cleaner_timeout=timedelta(milliseconds=100))
    passes: list[int] = []
    async with Client(dsn) as client:
        while await observer.states():
            passes.append(await clean(client.database, config))
    assert max(passes) < count


async def test_37_a_tick_keeps_no_more_than_its_last_runs(dsn: str, observer: Observer) -> None:
    async with Client(dsn) as client:
        for _ in range(25):
            assert await client.tick("expire") == TickOutcome.SUCCESS
    assert await observer.rows("select name, count(*) from delta_tick_run group by name") == [
        ("expire", 20)
    ]


async def test_37_passes_of_several_processes_move_each_row_once(
    dsn: str, observer: Observer
) -> None:
    await synced_long_ago(dsn, observer, 3_000)
    async with Client(dsn) as one, Client(dsn) as other:
        moved = await asyncio.gather(*(expire(client.database) for client in (one, other, one)))
    assert sum(moved) == 3_000
    assert await observer.value("select count(*) from delta_event") == 0


@pytest.mark.parametrize("state", ["scheduled", "failed", "degraded", "deleted", "expired"])
async def test_38_an_invalidate_that_is_refused_names_the_state(
    dsn: str, observer: Observer, state: str
) -> None:
    async with Client(dsn, quick_config(item_controller(no_work))) as client:
        await client.inform(Item("a"))
        await observer.do(
            "update delta_resource set state = %s::text::delta_resource_state,"
            " due_at = case when %s = any('{scheduled,failed,expired}') then now() end,"
            " synced_at = now(), synced_generation = 1",
            state,
            state,
        )
        with pytest.raises(StateConflict, match=state):
            await client.invalidate("item", "a")


async def test_38_an_invalidate_that_races_an_inform_breaks_nothing(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn, quick_config(item_controller(no_work))) as client:
        await client.inform(Item("a"))
        for value in range(1, 20):
            await observer.do(
                "update delta_resource set state = 'synced', due_at = null, synced_at = now(),"
                " synced_generation = generation, last_synced_object = null"
            )
            results = await asyncio.gather(
                client.invalidate("item", "a"),
                client.inform(Item("a", value)),
                return_exceptions=True,
            )
            failures = [result for result in results if isinstance(result, BaseException)]
            assert all(isinstance(failure, StateConflict) for failure in failures)
            row = await observer.resource("a")
            assert (row["state"], row["object"]["value"]) == ("scheduled", value)


async def test_38_what_was_invalidated_is_worked_at_once(dsn: str, observer: Observer) -> None:
    stage = Stage(opened=True)
    # Neither a tick nor a poll may help.
    unhurried = dict.fromkeys(("poll_interval", "maintenance_interval", "rescue_interval"), HOUR)
    async with (
        working(dsn, item_controller(stage.work), **unhurried) as client,
        Client(dsn) as operator,
    ):
        await client.inform(Item("a"))
        await observer.until_state("a", "synced")
        await operator.invalidate("item", "a")
        await eventually(lambda: len(stage.begun) == 2)


async def test_39_many_kinds_need_no_more_connections_than_one(
    dsn: str, observer: Observer
) -> None:
    stage = Stage(opened=True)
    controllers = [item_controller(stage.work, kind=f"kind-{number}") for number in range(60)]
    async with working(dsn, *controllers) as client:
        for controller in controllers:
            await client.inform(controller.object_class()("a"))
        await observer.until_all("synced", len(controllers))
        connections = await observer.value(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and application_name like 'delta %'"
        )
    # The pool's ten, and those of the claims, the completions, the locks and LISTEN.
    assert connections <= 16


# Seen by running it


async def test_a_work_is_limited_by_parallelism_and_not_by_connections(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work, parallelism=200)) as client:
        await client.inform_many(Item(f"{number}") for number in range(300))
        await eventually(lambda: stage.running == 200)
        async with asyncio.timeout(2):
            await client.inform(Item("one more"))  # no connection is held by those that run
        stage.open.set()
        await observer.until_all("synced", 301)
    assert stage.most_running == 200


async def test_max_attempts_of_one_ends_degraded_after_one(dsn: str, observer: Observer) -> None:
    async def work(resource: Resource[Item]) -> None:
        raise ConnectionError

    async with working(dsn, item_controller(work)) as client:
        await client.inform(Item("a"), InformOpts(max_attempts=1))
        row = await observer.until_state("a", "degraded")
    assert (row["attempt"], row["term"]) == (1, 1)


async def test_a_resource_costs_little_log_and_few_round_trips(own_server: EmbeddedServer) -> None:
    count = 1_000
    # The log is the whole server's, so this one is not shared.
    dsn = own_server.dsn
    observer = await Observer.connect(dsn)
    async with (
        observer.connection,
        Client(dsn, quick_config(item_controller(no_work, parallelism=500))) as client,
    ):
        await client.inform_many(Item(f"{number}") for number in range(count))
        position = await observer.value("select pg_current_wal_insert_lsn()")
        commits = await _commits(observer)
        began = time.monotonic()
        await client.start()
        await client.wait_until_drained()
        seconds_taken = time.monotonic() - began
        await client.stop()
        written = await observer.value(
            "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s::pg_lsn)", position
        )
        spent = await _commits(observer) - commits
        assert await observer.states() == {"synced": count}
    # Upstream: 10 kB and eight round trips for each.
    assert written / count < 5_000
    assert spent < count / 4 + 50 * seconds_taken


async def _commits(observer: Observer) -> int:
    return await observer.value(
        "select xact_commit from pg_stat_database where datname = current_database()"
    )
