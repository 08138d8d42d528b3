"""Writers that race, roll back and are killed, and readers that are killed and resumed."""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from delta_cli import Client, Event, EventCategory
from delta_cli.engine.database import Database
from tests.support import log_reader, log_writer
from tests.support.observing import Observer
from tests.support.pooler import needs_pgbouncer, pgbouncer
from tests.support.programs import CHECKOUT
from tests.support.waiting import eventually

EVENTS = 200_000
WRITERS = 8
#: Behind a pooler readers poll, which is all that differs.
EVENTS_THROUGH_A_POOLER = 50_000
FILL = """
insert into delta_resource (namespace, kind, object_id, state, max_attempts, due_at, object, hash)
select 'default', case number % 2 when 0 then 'even' else 'odd' end, number::text, 'scheduled',
    1000000, now(), '{}', ''
from generate_series(1, 20000) as number
"""

#: What each reader follows, and which events of (id, category, kind) these are.
READERS: dict[str, tuple[dict[str, Any], Any]] = {
    "all": ({}, lambda category, kind: True),
    "failed": (
        {"categories": [EventCategory.OBJECT_FAILED]},
        lambda category, kind: category == "object_failed",
    ),
    "odd": ({"kinds": ["odd"]}, lambda category, kind: kind == "odd"),
    "named": ({"name": "reader"}, lambda category, kind: True),
}


class Processes:
    """Processes by their names, that are killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._log = (folder / "stderr").open("ab")

    def start(self, name: str, *program: str) -> None:
        self._running[name] = subprocess.Popen(
            [sys.executable, "-m", *program], cwd=CHECKOUT, stderr=self._log
        )

    def kill(self, name: str) -> None:
        process = self._running.pop(name)
        assert process.poll() is None, f"{name} has ended by itself: {process.returncode}"
        process.kill()
        process.wait()

    def kill_all(self) -> None:
        for name in list(self._running):
            self._running[name].kill()
            self._running.pop(name).wait()
        self._log.close()


@pytest.fixture
def processes(tmp_path: Path) -> Generator[Processes]:
    processes = Processes(tmp_path)
    yield processes
    processes.kill_all()


@pytest.fixture
async def filled(dsn: str, observer: Observer) -> str:
    """A database with resources to complete, and a first event that nobody rolls back."""
    await observer.connection.execute(FILL.encode())
    await observer.do("insert into delta_namespace (name) values ('default')")
    async with await Database(dsn).connect() as connection:
        await log_writer.write_batch(connection, random.Random(1))
    return dsn


async def newest(observer: Observer) -> int:
    return await observer.value("select coalesce(max(id), 0) from delta_event")


async def has_grown(observer: Observer, beyond: int) -> bool:
    return await newest(observer) >= beyond


async def holds(observer: Observer, events: int) -> bool:
    # Rollbacks leave holes among the ids, which are quicker to ask for than to count the rows.
    if await newest(observer) < events:
        return False
    return await observer.value("select count(*) from delta_event") >= events


def ids_in(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().split()]


async def test_a_writer_waits_for_the_one_before_it_so_that_no_reader_misses_that(
    filled: str, observer: Observer
) -> None:
    chance, database = random.Random(2), Database(filled)
    async with (
        await database.connect() as first,
        await database.connect() as second,
        Client(filled) as client,
        client.subscribe() as events,
    ):
        async with first.transaction():
            before = await log_writer.write_batch(first, chance)
            # It has drawn its ids, and nobody sees them yet; who comes next may not overtake it.
            overtaking = asyncio.create_task(log_writer.write_batch(second, chance))
            await eventually(lambda: somebody_waits_for_the_log(observer))
            assert await newest(observer) == events.position
        after = await overtaking
        async with asyncio.timeout(30):
            seen = [await anext(events) for _ in range(before + after)]
    assert [one.id for one in seen if isinstance(one, Event)] == [
        number
        for (number,) in await observer.rows(
            "select id from delta_event order by id desc limit %s", before + after
        )
    ][::-1]


async def somebody_waits_for_the_log(observer: Observer) -> bool:
    return await observer.value(
        "select exists (select from pg_locks where locktype = 'advisory' and not granted)"
    )


@pytest.fixture(params=["directly", pytest.param("through a pooler", marks=needs_pgbouncer)])
async def reached(
    request: pytest.FixtureRequest, filled: str, place: Path, worker_id: str
) -> AsyncGenerator[str]:
    """The DSN that writers and readers use. Behind the pooler nobody listens: readers poll."""
    if request.param == "directly":
        yield filled
        return
    async with pgbouncer(place / f"pooler-{worker_id}", filled) as pooled:
        yield pooled


@pytest.mark.timeout(300)
async def test_each_reader_sees_every_committed_event_once_and_in_order_whatever_is_killed(
    filled: str, reached: str, observer: Observer, processes: Processes, tmp_path: Path
) -> None:
    events = EVENTS if reached == filled else EVENTS_THROUGH_A_POOLER
    killed_every = events // 8
    chance = random.Random(8)
    seeds = iter(range(10_000))

    def start_writer(number: int) -> None:
        processes.start(f"writer {number}", "tests.support.log_writer", reached, str(next(seeds)))

    def start_reader(name: str) -> None:
        file, filters = str(tmp_path / name), json.dumps(READERS[name][0])
        processes.start(name, "tests.support.log_reader", reached, file, filters)

    def all_follow() -> bool:
        return all(log_reader.last_id(tmp_path / name) for name in READERS)

    for name in READERS:
        start_reader(name)
    # Who only reads what lies there already cannot miss what comes late.
    await eventually(all_follow, within=60)
    for number in range(WRITERS):
        start_writer(number)

    # Each time the log has grown, a writer and a reader die and others take their places.
    for goal in range(killed_every, events, killed_every):
        await eventually(lambda goal=goal: has_grown(observer, goal), within=120)
        number, name = chance.randrange(WRITERS), chance.choice(list(READERS))
        processes.kill(f"writer {number}")
        processes.kill(name)
        start_writer(number)
        start_reader(name)
    await eventually(lambda: holds(observer, events), within=120)
    for number in range(WRITERS):
        processes.kill(f"writer {number}")
    await end_sessions_of_writers(observer)

    log = await observer.rows("select id, category::text, kind from delta_event order by id")
    for name, (_, chosen) in READERS.items():
        expected = [number for number, category, kind in log if chosen(category, kind)]
        file = tmp_path / name
        await eventually(
            lambda file=file, last=expected[-1]: log_reader.last_id(file) == last, within=120
        )
        seen = ids_in(file)
        # What comes again after a resumption comes in order too.
        back = [before for before, after in pairwise(seen) if after <= before]
        assert len(back) <= events // killed_every
        assert list(dict.fromkeys(seen)) == expected, name
        if name != "named":
            assert seen == expected  # its own last id is where it goes on
    assert len(log) >= events
    # Rollbacks have left holes among the ids, or this has tried nothing.
    assert log[-1][0] > len(log)


async def end_sessions_of_writers(observer: Observer) -> None:
    """What a killed writer has sent, its session may still execute and commit; then no more."""

    async def ended() -> bool:
        return not await observer.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name = %s",
            log_writer.NAME,
        )

    await eventually(ended)
