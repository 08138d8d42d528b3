import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from delta_cli import Client, Config, ConfigError, Controller, InformOptions
from delta_cli.engine.informing import objects_of
from delta_cli.engine.store import runs
from tests.support.engine import Item
from tests.support.waiting import eventually


async def test_what_a_plain_iterator_gave_before_it_failed_is_passed_on() -> None:
    def failing() -> Iterator[int]:
        yield from range(7)
        raise ConnectionError("half-way")

    objects = objects_of(failing(), owned=True)
    assert [await anext(objects) for _ in range(7)] == list(range(7))
    with pytest.raises(ConnectionError, match="half-way"):
        await anext(objects)


@pytest.mark.parametrize(
    ("given", "told"), [(None, "got None: yield each object"), (Item("a"), "got one Item: yield")]
)
async def test_what_is_no_iterable_of_objects_is_refused_by_its_name(
    given: object, told: str
) -> None:
    async def awaited() -> object:
        return given

    for source in (given, awaited()):
        with pytest.raises(ConfigError, match=rf"inform\(\) must give an iterable .*{told}"):
            await anext(objects_of(source, owned=True, named="inform()"))


async def test_a_slow_plain_iterator_is_not_waited_for_until_its_chunk_is_full() -> None:
    seen = threading.Event()

    def slow() -> Iterator[int]:
        yield from range(3)
        threading.Event().wait(0.3)
        yield 3
        assert seen.wait(10)
        yield 4

    async for number in objects_of(slow(), owned=True):
        if number == 3:
            seen.set()


@pytest.mark.parametrize("given", [3, 130], ids=["in the first chunk", "in the second"])
async def test_what_a_plain_iterator_gave_is_not_kept_back_by_a_next_that_hangs(
    given: int,
) -> None:
    on, taken, closed = threading.Event(), list[int](), threading.Event()

    def hanging() -> Iterator[int]:
        try:
            for number in range(1_000):
                if number == given:
                    assert on.wait(60)
                taken.append(number)
                yield number
        finally:
            closed.set()

    objects = objects_of(hanging(), owned=True)
    try:
        async with asyncio.timeout(30):
            assert [await anext(objects) for _ in range(given)] == list(range(given))
            await objects.aclose()  # waits for nobody
        assert not closed.is_set()
    finally:
        on.set()
    await asyncio.to_thread(closed.wait, 30)
    assert len(taken) == given + 1  # it was stopped at once, and then closed


class Items(Controller[Item]):
    def work(self, resource: object) -> None:
        raise AssertionError

    def inform(self, options: InformOptions) -> list[Item]:
        return []


async def test_two_workers_that_claim_runs_of_one_kind_at_once_do_not_trip(dsn: str) -> None:
    config = Config(controllers=[Items()])
    lease = timedelta(minutes=1)
    async with Client(dsn, config) as client:
        first, second = [await client.schedule_inform("item") for _ in range(2)]

        async with client.database.connection() as other:
            async with client.database.transaction() as one:
                claimed = await runs.claim_run(one, ["item"], worker_id=1, lease=lease)
                claiming = runs.claim_run(other, ["item"], worker_id=2, lease=lease)
                beside = asyncio.create_task(claiming)
                await eventually(lambda: is_blocked(client, other.info.backend_pid))
            assert claimed is not None
            assert claimed.id == first.id
            assert await beside is None
        assert (await client.inform_run(second.id)).state == "queued"


async def is_blocked(client: Client, pid: int) -> bool:
    async with client.database.connection() as connection:
        cursor = await connection.execute("select pg_blocking_pids(%s) <> '{}'", (pid,))
        row = await cursor.fetchone()
    return bool(row and row[0])
