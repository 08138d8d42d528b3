import os
import signal
from typing import Any

import pytest

from delta_cli import Client, EventCategory
from delta_cli.engine.database import Database
from delta_cli.engine.embedded import EmbeddedServer
from delta_cli.engine.states import (
    Landing,
    landing_after_delete,
    landing_after_failure,
    landing_after_snooze,
    landing_after_success,
)
from delta_cli.engine.store import work
from delta_cli.engine.store.work import Outcome
from tests.support.engine import Item, Stage, item_controller, quick_config, seconds, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

LANDINGS = {
    "success": landing_after_success(),
    "failure": landing_after_failure(1, 10, retry_in=seconds(1)),
    "gave up": landing_after_failure(10, 10, retry_in=seconds(1)),
    "snooze": landing_after_snooze(1, seconds(1)),
    "delete": landing_after_delete(1),
}


async def complete_late(database: Database, row: dict[str, Any], landing: Landing) -> set[int]:
    outcome = Outcome(claim_of(row), landing, EventCategory.OBJECT_SYNCED, 1.0)
    async with database.connection() as connection:
        return set(await work.complete(connection, [outcome]))


@pytest.mark.parametrize("landing", LANDINGS.values(), ids=LANDINGS)
async def test_a_completion_with_an_old_term_changes_nothing(
    dsn: str, observer: Observer, landing: Landing
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a"))
        await eventually(lambda: len(stage.begun) == 1)
        first = await observer.resource("a")
        await observer.do("update delta_resource set lease_until = now()")
        # The lease is over: rescued, and claimed again as soon as the first work has ended.
        await eventually(lambda: rescued(observer), within=30)
        between = await observer.resource("a")
        events = await observer.events()
        assert await complete_late(client.database, first, landing) == set()
        assert await observer.resource("a") == between
        stage.open.set()
        row = await observer.until_state("a", "synced")
        # A rescue and a claim: the second work's completion counts, the first's does not.
        assert (row["term"], row["sync_count"]) == (3, 1)
        assert await observer.events() == [*events, ("object_synced", "a", "synced")]


async def rescued(observer: Observer) -> bool:
    return (await observer.resource("a"))["term"] == 2


async def test_a_completion_changes_nothing_while_another_works_under_a_newer_term(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work, parallelism=2)) as client:
        await client.inform(Item("a"))
        await eventually(lambda: stage.running == 1)
        first = await observer.resource("a")
        await observer.do("update delta_resource set lease_until = now()")
        await eventually(lambda: stage.running == 2)
        second = await observer.resource("a")
        assert (second["state"], second["term"]) == ("pending", 3)
        assert not await complete_late(client.database, first, landing_after_success())
        assert await observer.resource("a") == second
        async with client.database.connection() as connection:
            assert not await work.release(connection, [claim_of(first)])
        assert await observer.resource("a") == second


async def test_of_two_works_of_a_resource_that_end_together_only_the_newer_claim_counts(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work, parallelism=2)) as client:
        await client.inform(Item("a"))
        await eventually(lambda: stage.running == 1)
        await observer.do("update delta_resource set lease_until = now()")
        await eventually(lambda: stage.running == 2)
        stage.open.set()
        await observer.until_state("a", "synced")
        summary = await client.stop()
        assert summary is not None
        assert (summary.counts.synced, summary.counts.lost) == (1, 1)


async def test_a_completion_changes_nothing_once_the_claim_has_ended(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a"))
        await eventually(lambda: stage.running)
        claimed = await observer.resource("a")
        stage.open.set()
        synced = await observer.until_state("a", "synced")
        assert not await complete_late(client.database, claimed, landing_after_delete(1))
        assert await observer.resource("a") == synced


async def test_a_claim_outlives_a_crash_of_the_server_so_no_term_is_given_out_twice(
    own_server: EmbeddedServer,
) -> None:
    async with Client(own_server.dsn, quick_config(item_controller(Stage().work))) as client:
        await client.inform(Item("a"))
        claimed = await claim(client.database, worker_id=1)
        pid = own_server.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        own_server.restart()
        observer = await Observer.connect(own_server.dsn)
        async with observer.connection:
            assert await observer.resource("a") == claimed


async def claim(database: Database, worker_id: int) -> dict[str, Any]:
    lane = work.LaneSlots("item", "default", 1)
    async with database.connection() as connection:
        await work.claim(connection, [lane], worker_id=worker_id, leases_s={"item": 60.0})
    observer = await Observer.connect(database.dsn)
    try:
        return await observer.resource("a")
    finally:
        await observer.connection.close()


def claim_of(row: dict[str, Any]) -> Any:
    """As much of a claim as a completion and a release look at."""
    return type("Claim", (), {name: row[name] for name in ("id", "term", "generation")})()
