"""What is due again when, after its worker was killed, frozen or cut off.

More of what real processes go through is in `tests/faults/test_killed_workers.py` and
`test_frozen_workers.py` beside it.
"""

import asyncio
import signal
from typing import Any

import psycopg
import pytest

from delta_cli import Client
from delta_cli.engine.store import workers
from tests.support.engine import (
    IMPATIENT,
    Item,
    Stage,
    item_controller,
    quick_config,
    seconds,
    working,
)
from tests.support.observing import Observer
from tests.support.processes import Workers
from tests.support.waiting import eventually


async def claimed_by_a_lost_worker(observer: Observer, *, silent_s: float) -> None:
    """As a worker leaves it that was killed `silent_s` ago while it worked everything."""
    await observer.do(
        "with worker as ("
        "  insert into delta_worker (host, pid, version, kinds, capacity, heartbeat_at)"
        "  values ('elsewhere', 1, '0', '{item}', 1, now() - %s * interval '1 second')"
        "  returning id"
        ") update delta_resource set state = 'pending', term = term + 1, attempt = attempt + 1,"
        " due_at = null, lease_until = 'infinity', attempted_at = now(),"
        " worker_id = (select id from worker)",
        silent_s,
    )


LOST_AFTER_S, RESCUE_S = 2.0, 0.2
#: What a loaded machine may take beyond that for a rescue.
SLACK_S = 5.0
SOON = {"heartbeat_interval": 0.2, "worker_lost_after": LOST_AFTER_S, "rescue_interval": RESCUE_S}


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
async def test_from_every_state_it_is_due_again_within_worker_lost_after_and_a_rescue(
    dsn: str, observer: Observer, workers: Workers, end: signal.Signals
) -> None:
    before = ("scheduled", "failed", "expired", "degraded", "deleted", "changed")
    await in_every_state(dsn, observer)
    victim = await workers.start(dsn, "hang", parallelism=10, **SOON)
    await eventually(lambda: len(workers.running()) == len(before))
    async with Client(dsn) as client:
        await client.inform(Item("changed", 1))
    victim.signal(end)
    # A rescuer of other kinds, which leaves what it rescues to be looked at.
    settings = {name: seconds(value) for name, value in SOON.items()}
    async with working(dsn, item_controller(Stage().work, kind="other"), **settings):
        await observer.until_all("scheduled", len(before), within=20)
    rows = await observer.rows(
        "select object_id, attempt,"
        " extract(epoch from due_at - (select heartbeat_at from delta_worker where state = 'lost'))"
        " from delta_resource"
    )
    silences = [float(silence) for _, _, silence in rows]
    assert min(silences) >= LOST_AFTER_S
    assert max(silences) <= LOST_AFTER_S + RESCUE_S + SLACK_S
    attempts = {object_id: attempt for object_id, attempt, _ in rows}
    # The lost attempt counts, except for what has a newer object to be worked.
    assert attempts == dict.fromkeys(before, 1) | {"failed": 2, "changed": 0}


async def in_every_state(dsn: str, observer: Observer) -> None:
    """One resource each that a worker is going to claim out of another state."""
    async with Client(dsn, quick_config(item_controller(Stage().work))) as client:
        for state in ("scheduled", "failed", "expired", "degraded", "deleted", "changed"):
            await client.inform(Item(state))
        await observer.do(
            "update delta_resource set state = object_id::delta_resource_state, attempt = 1,"
            " due_at = case when object_id in ('failed', 'expired') then now() end,"
            " synced_at = now(), synced_generation = 1"
            " where object_id in ('failed', 'expired', 'degraded', 'deleted')"
        )
        await observer.do("update delta_resource set attempt = 0 where object_id = 'expired'")
        await client.retry("item", "degraded")
        await client.inform(Item("deleted"))


async def test_what_a_lost_worker_claimed_is_due_again_however_long_its_lease(
    dsn: str, observer: Observer
) -> None:
    stage = Stage(opened=True)
    async with Client(dsn, quick_config(item_controller(stage.work), **IMPATIENT)) as client:
        await client.inform(Item("a"))
        # The server of a test may be younger than the silence; then its start is what counts.
        await claimed_by_a_lost_worker(observer, silent_s=5)
        await client.start()
        row = await observer.until_state("a", "synced")
        assert (row["term"], row["sync_count"]) == (3, 1)


async def test_what_a_silent_worker_claimed_is_left_alone_until_it_is_lost(
    dsn: str, observer: Observer
) -> None:
    stage = Stage(opened=True)
    async with Client(dsn, quick_config(item_controller(stage.work))) as client:
        await client.inform_many([Item("a")])
        await claimed_by_a_lost_worker(observer, silent_s=5)  # lost is 15 seconds here
        await client.start()
        await client.inform(Item("b"))
        await observer.until_state("b", "synced")
        # Several rescues have passed by.
        await eventually(lambda: passed(observer, 0.5))
        assert (await observer.resource("a"))["state"] == "pending"


async def passed(observer: Observer, seconds: float) -> bool:
    return await observer.value(
        "select now() - max(started_at) > %s * interval '1 second' from delta_worker", seconds
    )


async def test_a_worker_that_is_cut_off_itself_declares_nobody_lost(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeat, away = workers.heartbeat, asyncio.Event()

    async def heartbeat_if_there(*arguments: Any) -> Any:
        if away.is_set():
            raise psycopg.OperationalError("away")
        return await heartbeat(*arguments)

    monkeypatch.setattr(workers, "heartbeat", heartbeat_if_there)
    controller = item_controller(Stage(opened=True).work)
    async with working(dsn, controller, **IMPATIENT) as client:
        await client.inform(Item("a"))
        await observer.until_state("a", "synced")
        away.set()
        assert client._worker.runtime is not None
        worker = client._worker.runtime.worker

        async def keeps_quiet() -> bool:
            # A rescue that had begun before is over once the next one did not begin.
            enabled = "select enabled from delta_tick where name = 'rescue'"
            return not worker.may_judge and not await observer.value(enabled)

        await eventually(keeps_quiet)
        await claimed_by_a_lost_worker(observer, silent_s=5)
        # Several rescues have passed by.
        await eventually(lambda: passed(observer, 0.7))
        assert (await observer.resource("a"))["state"] == "pending"
        away.clear()
        # Once the others had their time to come back too, whoever is silent is lost.
        row = await observer.until_state("a", "synced")
        assert row["sync_count"] == 2
        assert worker.reconnected is not None


@pytest.mark.parametrize("state", ["scheduled", "failed", "expired"])
async def test_rescue_works_whatever_the_state_was_before_the_claim(
    dsn: str, observer: Observer, state: str
) -> None:
    stage = Stage(opened=True)
    async with Client(dsn, quick_config(item_controller(stage.work), **IMPATIENT)) as client:
        await client.inform(Item("a"))
        await observer.do(
            "update delta_resource set state = %s::delta_resource_state, attempt = 1,"
            " synced_at = now(), synced_generation = 1",
            state,
        )
        await claimed_by_a_lost_worker(observer, silent_s=5)
        await client.start()
        await observer.until_state("a", "synced")


async def test_a_lease_that_ran_out_is_rescued_though_its_worker_lives(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work, parallelism=2)) as client:
        await client.inform(Item("a"))
        await eventually(lambda: stage.running)
        await observer.do("update delta_resource set lease_until = now() - interval '1 second'")
        await eventually(lambda: stage.running == 2)
        (event,) = await observer.events()
        assert event == ("object_rescued", "a", "scheduled")


async def test_a_claim_whose_answer_was_lost_is_worked_again(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server commits a claim and the connection breaks before the worker hears of it."""
    import psycopg

    from delta_cli.engine.store import work

    real, answers = work.claim, iter([False])

    async def claim(*args: object, **options: object) -> object:
        claimed = await real(*args, **options)  # pyright: ignore[reportArgumentType]
        if claimed and not next(answers, True):
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return claimed

    monkeypatch.setattr(work, "claim", claim)
    stage = Stage(opened=True)
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a"))
        row = await observer.until_state("a", "synced")
        assert row["sync_count"] == 1
        assert len(stage.begun) == 1
