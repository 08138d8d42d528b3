"""Workers that are stopped by SIGSTOP, as a paused machine stops them, and go on later.

What they had claimed is given to others in the meantime; when they wake they know nothing of it.
"""

import signal
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from delta_cli import Client, TickOutcome
from tests.support.engine import (
    IMPATIENT,
    Item,
    Stage,
    item_controller,
    quick_config,
    working,
)
from tests.support.observing import Observer
from tests.support.processes import WorkerProcess, Workers, overlapping
from tests.support.programs import CHECKOUT
from tests.support.waiting import eventually

LOST_AFTER_S = 1.0
SOON = {"heartbeat_interval": 0.2, "worker_lost_after": LOST_AFTER_S, "rescue_interval": 0.2}
MANY = 20

#: Writes down every claim that was made while an older one held, and every term that went back.
WATCH: LiteralString = """
create table violation (object_id text, old_term int, new_term int);
create function watch() returns trigger language plpgsql as $$
begin
    if new.term < old.term or (
        old.state = 'pending' and new.state = 'pending'
        and (new.term, new.worker_id) is distinct from (old.term, old.worker_id)
    ) then
        insert into delta.violation values (new.object_id, old.term, new.term);
    end if;
    return null;
end
$$;
create trigger watch after update on delta_resource for each row execute function watch();
"""


@pytest.fixture
def heirs(tmp_path: Path) -> Generator[Workers]:
    """Workers with a gate and a record of their own."""
    folder = tmp_path / "heirs"
    folder.mkdir()
    heirs = Workers(folder)
    yield heirs
    heirs.end_all()


async def inform(dsn: str, count: int) -> None:
    async with Client(dsn, quick_config()) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(count))


async def states_of(observer: Observer, process: WorkerProcess) -> list[str]:
    """What the fleet thinks of a process, identity after identity."""
    rows = await observer.rows(
        "select state from delta_worker where pid = %s order by id", process.pid
    )
    return [state for (state,) in rows]


async def is_lost(observer: Observer, process: WorkerProcess) -> bool:
    return await states_of(observer, process) == ["lost"]


@pytest.mark.parametrize("mode", ["hang", "hang_in_thread"])
async def test_late_completions_leave_the_claims_of_the_heir_alone(
    dsn: str, observer: Observer, workers: Workers, heirs: Workers, mode: str
) -> None:
    frozen = await workers.start(dsn, mode, parallelism=MANY, **SOON)
    await inform(dsn, MANY)
    await eventually(lambda: len(workers.running()) == MANY)
    frozen.signal(signal.SIGSTOP)
    await heirs.start(dsn, "hang", parallelism=MANY, **SOON)
    await eventually(lambda: len(heirs.running()) == MANY, within=20)
    claims: LiteralString = "select object_id, state::text, term, worker_id from delta_resource"
    held = sorted(await observer.rows(claims))
    assert {(state, term) for _, state, term, _ in held} == {("pending", 3)}
    # The works of the frozen worker end as soon as it wakes, before it hears that it was given up.
    workers.open_gate()
    frozen.signal(signal.SIGCONT)
    await eventually(lambda: begun_anew(observer, frozen), within=20)
    # The heir has no slot left, so this is worked under the new identity.
    await inform(dsn, MANY + 1)
    await observer.until_state(f"item-{MANY}", "synced", within=20)
    assert workers.spans()[-1].pid == frozen.pid
    assert sorted(await observer.rows(claims + " where state = 'pending'")) == held
    heirs.open_gate()
    await observer.until_all("synced", MANY + 1)
    assert await observer.rows("select distinct sync_count from delta_resource") == [(1,)]
    assert (await frozen.drain())["counts"]["synced"] == 1


async def begun_anew(observer: Observer, process: WorkerProcess) -> bool:
    return await states_of(observer, process) == ["lost", "running"]


async def test_a_late_completion_is_sent_and_refused(
    dsn: str, observer: Observer, workers: Workers
) -> None:
    frozen = await workers.start(dsn, "hang", **SOON)
    await inform(dsn, 1)
    await eventually(workers.running)
    frozen.signal(signal.SIGSTOP)
    async with working(dsn, item_controller(Stage(opened=True).work), **IMPATIENT):
        row = await observer.until_state("item-0", "synced", within=20)
    workers.open_gate()
    frozen.signal(signal.SIGCONT)
    await eventually(lambda: begun_anew(observer, frozen), within=20)
    counts = (await frozen.drain())["counts"]
    assert (counts["synced"], counts["lost"]) == (0, 1)
    assert await observer.resource("item-0") == row


async def test_no_claim_is_made_while_another_holds_however_often_workers_freeze(
    dsn: str, observer: Observer, workers: Workers
) -> None:
    count = 600
    await observer.connection.execute(WATCH)
    both = [await workers.start(dsn, "quick", parallelism=5, **SOON) for _ in range(2)]
    await inform(dsn, count)
    for process, after in zip(both, (count // 4, count // 2), strict=True):
        await worked(workers, after)
        await freeze_until_lost(observer, process)
    await observer.until_all("synced", count, within=40)
    summaries = [await process.drain() for process in both]
    assert await observer.rows("select * from violation") == []
    assert await observer.rows("select distinct sync_count from delta_resource") == [(1,)]
    synced = await observer.events("object_synced")
    assert len({object_id for _, object_id, _ in synced}) == len(synced) == count
    # What a frozen process had in hand may overlap; nothing else may.
    assert len(overlapping(workers.spans())) <= 2 * 5
    assert sum(summary["counts"]["synced"] for summary in summaries) <= count


async def worked(workers: Workers, count: int) -> None:
    await eventually(lambda: len(workers.spans()) > count, within=20)


async def freeze_until_lost(observer: Observer, process: WorkerProcess) -> None:
    process.signal(signal.SIGSTOP)
    await eventually(lambda: is_lost(observer, process), within=20)
    process.signal(signal.SIGCONT)
    await eventually(lambda: begun_anew(observer, process), within=20)


async def test_the_watch_over_claims_notices_one_made_while_another_holds(
    dsn: str, observer: Observer
) -> None:
    await observer.connection.execute(WATCH)
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a"))
        await eventually(lambda: stage.running)
        await observer.do("update delta_resource set term = term + 1, worker_id = 0")
        assert await observer.rows("select * from violation") == [("a", 1, 2)]
        await observer.do("update delta_resource set term = term - 1")
        assert await observer.value("select count(*) from violation") == 2


async def test_a_worker_that_is_frozen_for_less_than_it_takes_to_be_lost_keeps_its_claims(
    dsn: str, observer: Observer, workers: Workers, heirs: Workers
) -> None:
    patient = SOON | {"worker_lost_after": 60.0}
    frozen = await workers.start(dsn, "hang", **patient)
    await inform(dsn, 1)
    await eventually(workers.running)
    frozen.signal(signal.SIGSTOP)
    silent_since = await observer.value("select heartbeat_at from delta_worker")
    await heirs.start(dsn, "quick", **patient)

    async def silent() -> bool:
        return await observer.value("select now() > %s + interval '1 second'", silent_since)

    # Five heartbeats and as many rescues have been missed and made.
    await eventually(silent)
    workers.open_gate()
    frozen.signal(signal.SIGCONT)
    row = await observer.until_state("item-0", "synced")
    assert (row["term"], row["sync_count"], heirs.spans()) == (1, 1, [])
    assert await states_of(observer, frozen) == ["running"]


async def test_an_inform_run_that_was_given_to_another_is_not_ended_by_the_one_that_froze(
    dsn: str, observer: Observer, workers: Workers
) -> None:
    frozen = await workers.start(dsn, "quick", informs=True, **SOON)
    controller = item_controller(Stage(opened=True).work, inform=lambda _: [Item("by the heir")])
    async with Client(dsn, quick_config(controller, **IMPATIENT)) as client:
        run = await client.schedule_inform("item")
        await eventually(lambda: run_of(observer, run.id, "running", frozen))
        frozen.signal(signal.SIGSTOP)
        await client.start()
        await eventually(lambda: run_of(observer, run.id, "succeeded"), within=20)
        ended = await client.inform_run(run.id)
        await client.stop()
        workers.open_gate()
        frozen.signal(signal.SIGCONT)
        # It claims the next run once its old listing has ended.
        later = await client.schedule_inform("item")
        await eventually(lambda: run_of(observer, later.id, "succeeded", frozen), within=20)
        assert await client.inform_run(run.id) == ended
        assert ended.counts.seen == 1


async def run_of(
    observer: Observer, run_id: int, state: str, process: WorkerProcess | None = None
) -> bool:
    """Whether an inform run is in a state, in the hands of a process."""
    return await observer.value(
        "select run.state = %s and (%s::int is null or worker.pid = %s)"
        " from delta_inform as run left join delta_worker as worker on worker.id = run.worker_id"
        " where run.id = %s",
        state,
        process and process.pid,
        process and process.pid,
        run_id,
    )


#: Freezes its process when the next claim after a SIGUSR1 has been sent and not yet answered.
FREEZES_IN_CLAIM = """
import asyncio, os, signal, sys
from delta_cli import Client
from delta_cli.engine.store import work
from tests.support.engine import IMPATIENT, Item, item_controller, quick_config

claim, told = work.claim, []

async def claim_and_freeze(*arguments, **options):
    if told:
        told.clear()
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGSTOP)
    return await claim(*arguments, **options)

async def no_work(resource):
    pass

async def main():
    work.claim = claim_and_freeze
    signal.signal(signal.SIGUSR1, lambda *_: told.append(None))
    controller = item_controller(no_work, parallelism=50)
    async with Client(sys.argv[1], quick_config(controller, **IMPATIENT)) as client:
        await client.start()
        print("started", flush=True)
        await client.wait()

asyncio.run(main())
"""


@pytest.fixture
def freezing(dsn: str) -> Generator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", FREEZES_IN_CLAIM, dsn]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


async def test_a_worker_that_froze_before_it_read_its_claim_keeps_nothing_locked(
    dsn: str, observer: Observer, freezing: "subprocess.Popen[str]"
) -> None:
    """The server cannot end a claim whose answer is larger than what fits on the way."""
    assert freezing.stdout is not None
    assert freezing.stdout.readline() == "started\n"
    await inform(dsn, 1)
    await observer.until_state("item-0", "synced", within=20)
    freezing.send_signal(signal.SIGUSR1)
    async with Client(dsn) as client, await psycopg.AsyncConnection.connect(dsn) as connection:
        large = [LargeItem(f"large-{number}", text="x" * 200_000) for number in range(30)]
        await client.inform_many(large, connection=connection)
    await eventually(lambda: stuck_claims(observer), within=20)
    stage = Stage(opened=True)
    async with working(dsn, item_controller(stage.work, parallelism=50), **IMPATIENT):
        await observer.until_all("synced", 31, within=30)
        assert await stuck_claims(observer) == 0
        freezing.send_signal(signal.SIGCONT)

        async def running() -> bool:
            states = "select state from delta_worker where pid = %s order by id"
            return await observer.rows(states, freezing.pid) == [("lost",), ("running",)]

        await eventually(running, within=20)
    assert await observer.rows("select distinct sync_count from delta_resource") == [(1,)]


async def test_only_sessions_of_workers_that_are_lost_and_have_not_come_back_are_ended(
    dsn: str, observer: Observer
) -> None:
    names = ["delta 1-lost", "delta 2-back", "delta 3-alive", "an application"]
    await observer.do(
        "insert into delta_worker (host, pid, version, kinds, capacity, state, application_name)"
        " values ('h', 1, '0', '{}', 1, 'lost', 'delta 1-lost'),"
        " ('h', 2, '0', '{}', 1, 'lost', 'delta 2-back'),"
        " ('h', 2, '0', '{}', 1, 'running', 'delta 2-back'),"
        " ('h', 3, '0', '{}', 1, 'running', 'delta 3-alive'),"
        " ('h', 4, '0', '{}', 1, 'lost', 'an application')"
    )
    sessions = [await in_transaction(dsn, name) for name in names]
    async with Client(dsn) as client:
        assert await client.tick("rescue") == TickOutcome.SUCCESS
    ended = [session.info.backend_pid for session in sessions[:1]]
    await eventually(lambda: none_of(observer, ended))
    with pytest.raises(psycopg.OperationalError):
        await sessions[0].execute("select")
    for session in sessions[1:]:
        await session.execute("select")
    for session in sessions:
        await session.close()


async def in_transaction(dsn: str, name: str) -> psycopg.AsyncConnection[Any]:
    session = await psycopg.AsyncConnection.connect(dsn, application_name=name)
    await session.execute("select")
    return session


async def none_of(observer: Observer, pids: list[int]) -> bool:
    return await observer.value(
        "select not exists (select from pg_stat_activity where pid = any(%s))", pids
    )


@dataclass
class LargeItem(Item):
    """An item of which a few fill the buffers between the server and its client."""

    text: str = ""


async def stuck_claims(observer: Observer) -> int:
    return await observer.value(
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and wait_event = 'ClientWrite'"
    )
