"""Informs beside each other and inside a caller's own transaction."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import psycopg
import pytest
from psycopg.rows import dict_row

from delta_cli import Client, Controller, InformOptions, InformOpts, Resource, ResourceState
from delta_cli.engine import informing
from delta_cli.engine.embedded import EmbeddedServer
from delta_cli.engine.errors import InvalidObject, NotFound
from delta_cli.engine.objects import object_type_of
from delta_cli.engine.statements import run_steps_sync
from delta_cli.engine.store.inform import Candidate, InformPolicy, inform_batch
from tests.support.engine import Item, item_controller, quick_config
from tests.support.observing import Observer
from tests.support.waiting import eventually

AsyncConnection = psycopg.AsyncConnection[Any]


#: A version that cannot be compared.
BAD = -1


@dataclass
class Versioned:
    """An object that knows which of two is the newer."""

    key: str
    version: int
    note: str = ""
    kind: ClassVar[str] = "versioned"

    @property
    def id(self) -> str:
        return self.key

    def compare(self, other: "Versioned") -> int:
        if self.version == BAD:
            return None  # pyright: ignore[reportReturnType]
        return self.version - other.version


@pytest.fixture
async def client(dsn: str) -> AsyncGenerator[Client]:
    async with Client(dsn) as client:
        yield client


@asynccontextmanager
async def callers_connection(dsn: str, **arguments: Any) -> AsyncGenerator[AsyncConnection]:
    """A connection as an application has it: with no setting of Delta's."""
    async with await psycopg.AsyncConnection.connect(dsn, **arguments) as connection:
        yield connection


async def search_path(connection: AsyncConnection) -> str:
    row = await (await connection.execute("show search_path")).fetchone()
    assert row is not None
    return row[0]


async def exists(client: Client, object_id: str, *, kind: str = "item") -> bool:
    try:
        await client.get(kind, object_id)
    except NotFound:
        return False
    return True


# In a caller's transaction


async def test_a_rollback_of_the_caller_leaves_nothing(dsn: str, client: Client) -> None:
    async with callers_connection(dsn) as connection:
        result = await client.inform(Item("a"), connection=connection)
        assert result.outcome == "created"
        assert not await exists(client, "a")
        await connection.rollback()
    assert not await exists(client, "a")


async def test_a_commit_of_the_caller_makes_it(dsn: str, client: Client) -> None:
    async with callers_connection(dsn) as connection:
        await client.inform(Item("a"), connection=connection)
        await client.inform_many([Item("b"), Item("c")], connection=connection)
        assert not await exists(client, "a")
        await connection.commit()
    assert [row.object_id async for row in client.resources()] == ["a", "b", "c"]


async def test_a_new_namespace_is_there_once_after_a_rollback_and_another_inform(
    dsn: str, client: Client, observer: Observer
) -> None:
    opts = InformOpts(namespace="acme")
    async with callers_connection(dsn) as connection:
        await client.inform(Item("a"), opts, connection=connection)
        await connection.rollback()
    await client.inform(Item("a"), opts)
    assert await observer.value("select count(*) from delta_namespace where name = 'acme'") == 1


async def test_an_inform_joins_a_transaction_within_a_transaction(dsn: str, client: Client) -> None:
    async with callers_connection(dsn) as connection, connection.transaction():
        await client.inform(Item("kept"), connection=connection)
        async with connection.transaction(force_rollback=True):
            await client.inform(Item("dropped"), connection=connection)
    assert await exists(client, "kept")
    assert not await exists(client, "dropped")


async def test_on_a_callers_connection_in_autocommit_an_inform_is_done_at_once(
    dsn: str, client: Client
) -> None:
    async with callers_connection(dsn, autocommit=True) as connection:
        await client.inform(Item("a"), connection=connection)
        assert await exists(client, "a")


@pytest.mark.parametrize("local", [True, False], ids=["set-local", "set"])
async def test_the_callers_search_path_comes_back(dsn: str, client: Client, local: bool) -> None:
    async with callers_connection(dsn) as connection:
        async with connection.transaction():
            scope = "local" if local else "session"
            await connection.execute(f"set {scope} search_path to nowhere, public".encode())
            await client.inform(Item("a"), connection=connection)
            assert await search_path(connection) == "nowhere, public"
        after = '"$user", public' if local else "nowhere, public"
        assert await search_path(connection) == after


async def test_a_refused_inform_leaves_the_callers_transaction_as_it_was(
    dsn: str, client: Client
) -> None:
    async with callers_connection(dsn) as connection:
        before = await search_path(connection)
        with pytest.raises(InvalidObject):
            await client.inform(Item("x" * 300), connection=connection)
        await connection.execute("create temporary table still_usable ()")
        assert await search_path(connection) == before


async def test_the_callers_own_row_factory_is_left_alone(dsn: str, client: Client) -> None:
    async with callers_connection(dsn, row_factory=dict_row) as connection:
        assert (await client.inform(Item("a"), connection=connection)).row.object_id == "a"
        row = await (await connection.execute("select 1 as one")).fetchone()
        assert row == {"one": 1}


@pytest.mark.parametrize("ends_well", [True, False], ids=["commit", "rollback"])
async def test_a_sync_connection_runs_the_same_steps(
    dsn: str, client: Client, ends_well: bool
) -> None:
    item = Item("a", 7)
    candidate = Candidate(object_type_of(item).encode(item))

    def in_a_thread() -> str:
        with psycopg.connect(dsn, options="-c search_path=delta") as connection:
            outcomes = run_steps_sync(connection, inform_batch([candidate], InformPolicy()))
            if not ends_well:
                connection.rollback()
        return outcomes[0]

    assert await asyncio.to_thread(in_a_thread) == "created"
    assert await exists(client, "a") == ends_well


def candidates(*items: Item) -> list[Candidate]:
    return [Candidate(object_type_of(item).encode(item)) for item in items]


def test_a_sync_batch_says_what_became_of_each(dsn: str) -> None:
    with psycopg.connect(dsn, options="-c search_path=delta") as connection:
        first = inform_batch(candidates(Item("a"), Item("b")), InformPolicy())
        assert run_steps_sync(connection, first) == ["created", "created"]
        second = inform_batch(candidates(Item("b"), Item("a", 1), Item("c")), InformPolicy())
        assert run_steps_sync(connection, second) == ["unchanged", "updated", "created"]


# Batches


@pytest.mark.parametrize(("size", "kept"), [(1, True), (2, False)])
def test_a_batch_keeps_no_plan_from_when_the_table_was_small(
    dsn: str, size: int, kept: bool
) -> None:
    with psycopg.connect(dsn, options="-c search_path=delta") as connection:
        for version in range(10):  # psycopg prepares what comes for the sixth time
            batch = candidates(*(Item(f"item-{number}", version) for number in range(size)))
            run_steps_sync(connection, inform_batch(batch, InformPolicy()))
        plans = connection.execute(
            "select from pg_prepared_statements where statement like '%insert into delta_resource%'"
        ).fetchall()
    assert bool(plans) is kept


async def test_of_objects_with_one_key_the_last_wins(client: Client) -> None:
    counts = await client.inform_many([Item("a", 1), Item("a", 2), Item("b"), Item("a", 3)])
    assert (counts.seen, counts.created, counts.unchanged) == (4, 2, 2)
    row = await client.get("item", "a")
    assert (row.object["value"], row.generation) == (3, 1)


async def test_a_batch_may_mix_kinds_and_namespaces(client: Client) -> None:
    counts = await client.inform_many([Item("a"), Versioned("a", 1), Item("b")])
    assert counts.created == 3
    counts = await client.inform_many([Item("a"), Item("b")], InformOpts(namespace="acme"))
    assert counts.created == 2


async def test_an_object_that_is_refused_leaves_the_batches_before_it_stored(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is, no batch is written before it is full.
    monkeypatch.setattr(informing, "_LINGER_S", 3600.0)

    def objects() -> Any:
        yield from (Item(f"{number:05}") for number in range(2_500))
        yield Item("x" * 300)

    with pytest.raises(InvalidObject):
        await client.inform_many(objects())
    assert (await client.status()).kinds[0].states[ResourceState.UNKNOWN] == 2_000


async def test_a_cancelled_stream_writes_no_more(
    dsn: str, client: Client, observer: Observer
) -> None:
    async with callers_connection(dsn) as connection:
        async with observer.connection.transaction():
            await observer.do("lock table delta_resource in exclusive mode")
            objects = (Item(f"{number:05}") for number in range(1_000))
            informing = asyncio.create_task(client.inform_many(objects, connection=connection))
            await eventually(lambda: is_blocked(observer))
            informing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await informing
        await client.inform(Item("after"), connection=connection)
        await connection.commit()
    assert [row.object_id async for row in client.resources()] == ["after"]


async def is_blocked(observer: Observer) -> bool:
    return await observer.value("select exists (select from pg_locks where not granted)")


async def test_objects_may_come_from_the_connection_that_they_are_stored_on(
    dsn: str, client: Client
) -> None:
    paths: set[str] = set()

    async with callers_connection(dsn) as connection:

        async def objects() -> AsyncGenerator[Item]:
            for number in range(2_500):
                if number % 500 == 0:
                    async with connection.transaction():
                        paths.add(await search_path(connection))
                yield Item(f"{number:05}")

        outside = await search_path(connection)
        counts = await client.inform_many(objects(), connection=connection)
        await connection.commit()
    assert counts.created == 2_500
    assert paths == {outside}


async def test_a_refused_object_leaves_the_callers_connection_free(
    dsn: str, client: Client
) -> None:
    def objects() -> Any:
        yield from (Item(f"{number:05}") for number in range(1_000))
        yield Item("x" * 300)

    async with callers_connection(dsn) as connection:
        with pytest.raises(InvalidObject):
            async with connection.transaction():
                await client.inform_many(objects(), connection=connection)
        # A batch that is still being written would now get in the way, and be kept.
        await connection.execute("select")
    assert [row async for row in client.resources()] == []


async def test_batches_of_the_same_objects_in_opposite_order_do_not_deadlock(dsn: str) -> None:
    async with Client(dsn) as one, Client(dsn) as other:
        for value in range(5):
            items = [Item(f"{number:04}", value) for number in range(1_000)]
            others = [Item(item.key, value + 100) for item in reversed(items)]
            counts = await asyncio.gather(one.inform_many(items), other.inform_many(others))
            assert sum(one.created + one.updated for one in counts) >= 1_000
        generations = {row.generation async for row in one.resources()}
        assert max(generations) == 10


# Unchanged objects


@pytest.mark.parametrize("obj", [Item("a"), Versioned("a", 1)], ids=["by-hash", "by-compare"])
async def test_an_unchanged_object_writes_nothing(
    obj: Any, client: Client, observer: Observer
) -> None:
    where = "select ctid::text, xmin::text, xmax::text from delta_resource"
    await client.inform(obj)
    before = await observer.rows(where)
    assert (await client.inform(obj)).outcome == "unchanged"
    assert (await client.inform_many([obj])).unchanged == 1
    assert await observer.rows(where) == before


async def test_a_thousand_unchanged_objects_are_next_to_no_log(own_server: EmbeddedServer) -> None:
    # The log is the whole server's, so this one is not shared.
    observer = await Observer.connect(own_server.dsn)
    items = [Item(f"{number:04}") for number in range(1_000)]
    async with Client(own_server.dsn) as client, observer.connection:
        await client.inform_many(items)
        await client.inform_many(items)  # the first look at new rows leaves hints on their pages
        before = await observer.value("select pg_current_wal_insert_lsn()")
        counts = await client.inform_many(items)
        written = await observer.value(
            "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s::pg_lsn)", before
        )
    assert counts.unchanged == 1_000
    assert written < 10_000  # ten bytes a row, where a row that is written takes hundreds


# Objects that compare themselves


async def test_an_older_object_is_stale_and_changes_nothing(client: Client) -> None:
    await client.inform(Versioned("a", 2))
    result = await client.inform(Versioned("a", 1))
    assert (result.outcome, result.row.object["version"], result.row.generation) == ("stale", 2, 1)


async def test_an_object_that_compares_as_equal_keeps_the_stored_one(client: Client) -> None:
    await client.inform(Versioned("a", 1, "stored"))
    result = await client.inform(Versioned("a", 1, "other"))
    assert (result.outcome, result.row.object["note"]) == ("unchanged", "stored")


async def test_of_versions_in_one_batch_the_newest_wins_whatever_their_order(
    client: Client,
) -> None:
    counts = await client.inform_many(Versioned("a", version) for version in (2, 3, 1))
    assert (await client.get("versioned", "a")).object["version"] == 3
    assert (counts.created, counts.unchanged, counts.stale) == (1, 1, 1)


def versions_with_bad_ones() -> list[Versioned]:
    """A good one, one that compares badly with what is stored, and one that does within a batch."""
    return [Versioned("a", 2), Versioned("bad", BAD), Versioned("c", 1), Versioned("c", BAD)]


async def test_objects_that_compare_badly_are_refused_one_by_one(client: Client) -> None:
    await client.inform_many([Versioned("a", 1), Versioned("bad", 1)])
    told: list[InvalidObject] = []
    counts = await client.inform_many(versions_with_bad_ones(), on_refused=told.append)
    assert (counts.updated, counts.created, counts.refused, counts.seen) == (1, 1, 2, 4)
    assert [error.field for error in told] == ["compare", "compare"]
    stored = {row.object_id: row.object["version"] async for row in client.resources()}
    assert stored == {"a": 2, "bad": 1, "c": 1}
    with pytest.raises(InvalidObject, match="compare"):
        await client.inform_many(versions_with_bad_ones())


async def test_an_informer_s_objects_that_compare_badly_do_not_fail_its_run(
    dsn: str, observer: Observer
) -> None:
    class VersionedController(Controller[Versioned]):
        def work(self, resource: Resource[Versioned]) -> None:
            """Nothing is to be done."""

        def inform(self, options: InformOptions) -> list[Versioned]:
            return versions_with_bad_ones()

    async with Client(dsn, quick_config(VersionedController())) as client:
        await client.inform_many([Versioned("a", 1), Versioned("bad", 1)])
        run = await client.schedule_inform("versioned", run_foreground=True)
        assert run.state == "succeeded"
        assert run.error is not None
        assert "2 of 4 objects refused, so the watermark stays; the first: compare()" in run.error
        assert (run.counts.updated, run.counts.created, run.counts.refused) == (1, 1, 2)


@pytest.mark.parametrize("seed", range(5))
async def test_of_objects_that_race_the_newest_wins(seed: int, client: Client) -> None:
    objects = [Versioned("a", version) for version in range(8)]
    random.Random(seed).shuffle(objects)
    results = await asyncio.gather(*(client.inform(obj) for obj in objects))
    assert (await client.get("versioned", "a")).object["version"] == 7
    outcomes = Counter(result.outcome for result in results)
    assert outcomes["created"] == 1
    assert outcomes["created"] + outcomes["updated"] + outcomes["stale"] == 8


async def test_a_crowd_of_objects_that_race_all_get_an_answer(client: Client) -> None:
    objects = [Versioned("a", version) for version in range(60)]
    await asyncio.gather(*(client.inform(obj) for obj in objects))
    assert (await client.get("versioned", "a")).object["version"] == 59


async def test_batches_that_race_keep_the_newest_of_each(dsn: str) -> None:
    clients = [Client(dsn) for _ in range(4)]

    async def inform(client: Client, seed: int) -> None:
        objects = [
            Versioned(f"{number}", version) for number in range(20) for version in (seed, 9 - seed)
        ]
        random.Random(seed).shuffle(objects)
        async with client:
            for start in range(0, len(objects), 10):
                await client.inform_many(objects[start : start + 10])

    await asyncio.gather(*(inform(client, seed) for seed, client in enumerate(clients)))
    async with Client(dsn) as client:
        stored = {row.object_id: row.object["version"] async for row in client.resources()}
    assert stored == {f"{number}": 9 for number in range(20)}


async def test_a_worker_that_stops_leaves_no_batch_being_written(
    dsn: str, observer: Observer
) -> None:
    async def never(resource: Resource[Item]) -> None:
        raise AssertionError

    async def inform(options: InformOptions) -> AsyncGenerator[Item]:
        for number in range(1_000):
            yield Item(f"{number:04}", 2)
        await asyncio.Event().wait()

    before = asyncio.all_tasks()
    async with Client(dsn) as client:
        await client.inform(Item("0000", 1))
    async with observer.connection.transaction(force_rollback=True):
        await observer.rows("select from delta_resource for update")
        controller = item_controller(never, kind="item", inform=inform)
        async with Client(dsn, quick_config(controller)) as client:
            await client.start()
            await client.schedule_inform("item")

            async def is_blocked() -> bool:
                return await observer.value(
                    "select exists (select from pg_locks where not granted)"
                )

            await eventually(is_blocked)
            await client.stop(hard=True)
            left = asyncio.all_tasks() - before
            assert not [task for task in left if "_write_batch" in repr(task)]
