"""Completions of rows that somebody else holds or changes at the same moment."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg.errors import LockNotAvailable

from delta_cli.engine.database import Database
from delta_cli.engine.model.event import EventCategory
from delta_cli.engine.states import landing_after_success
from delta_cli.engine.store import maintenance, work
from delta_cli.engine.store.work import Outcome, Written
from tests.support.engine import Item, Stage, item_controller, working
from tests.support.fleet import RESOURCES, Hand
from tests.support.observing import Observer

INFORM: LiteralString = (
    "update delta.delta_resource set generation = generation + 1 where object_id = %s"
)
RESCUE: LiteralString = "update delta.delta_resource set term = term + 1 where object_id = %s"
#: What keeps every update of a resource waiting for as long as somebody holds lock 1.
SLOW_UPDATES: LiteralString = """
create function wait() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(1);
    return new;
end
$$;
create trigger wait before update on delta_resource for each row execute function wait()
"""
#: How often a collision within the patience of a completion is tried for.
TRIES = 50


@pytest.fixture
async def database(dsn: str) -> AsyncGenerator[Database]:
    database = Database(dsn)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def outcomes(database: Database, observer: Observer) -> list[Outcome]:
    """Three works that have succeeded, of item-1 to item-3."""
    await observer.do("insert into delta_namespace (name) values ('default')")
    await observer.rows(RESOURCES + " returning id", "default", 3)
    hand = await Hand.join(database)
    async with database.connection() as connection:
        await hand.claim(connection)
    return [
        Outcome(claim, landing_after_success(), EventCategory.OBJECT_SYNCED, 1.0)
        for claim in sorted(hand.working, key=lambda claim: claim.object_id)
    ]


async def test_a_row_that_somebody_holds_keeps_nobody_waiting_for_long(
    dsn: str, database: Database, observer: Observer, outcomes: list[Outcome]
) -> None:
    async with (
        await AsyncConnection.connect(dsn) as holder,
        database.connection() as connection,
    ):
        await holder.execute(INFORM, ["item-2"])
        with pytest.raises(LockNotAvailable):
            await work.complete(connection, outcomes)
        assert await observer.states() == {"pending": 3}
        assert set(await work.complete_around(connection, outcomes)) == {
            outcomes[0].claim.id,
            outcomes[2].claim.id,
        }
        assert await observer.states() == {"pending": 1, "synced": 2}
        await holder.rollback()
        assert set(await work.complete(connection, outcomes)) == {outcomes[1].claim.id}
    assert len(await observer.events()) == 3


async def test_rows_that_are_locked_already_are_written_however_long_that_takes(
    dsn: str, database: Database, observer: Observer, outcomes: list[Outcome]
) -> None:
    await observer.do(SLOW_UPDATES)
    with psycopg.connect(dsn) as slow, slow.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(1)")
        async with database.connection() as connection:
            with pytest.raises(LockNotAvailable):
                await work.complete(connection, outcomes)
            completing = asyncio.create_task(work.complete_around(connection, outcomes))
            await asyncio.sleep(0.2)
            assert not completing.done()
            slow.rollback()
            assert len(await completing) == 3


async def test_what_was_written_unheard_is_counted_and_not_taken_for_late(
    dsn: str,
    observer: Observer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    real, losses = work.complete, [1]

    async def complete(*given: Any) -> Written:
        written = await real(*given)
        if losses:
            losses.clear()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return written

    monkeypatch.setattr(work, "complete", complete)
    stage = Stage(opened=True)
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a"))
        await observer.until_state("a", "synced")
        summary = await client.stop()
    assert summary is not None
    assert not losses
    assert (summary.counts.synced, summary.counts.lost) == (1, 0)
    assert "outcome dropped" not in caplog.text


async def test_a_completion_leaves_its_patience_to_nobody(
    database: Database, outcomes: list[Outcome]
) -> None:
    async with database.connection() as connection:
        await connection.execute("set lock_timeout = '7s'")
        await work.complete(connection, outcomes[:1])
        await work.complete_around(connection, outcomes[1:])
        row = await (await connection.execute("show lock_timeout")).fetchone()
    assert row == ("7s",)


async def test_passes_keep_no_plans(database: Database) -> None:
    async with database.connection() as connection:
        for _ in range(10):
            await maintenance.rescue_resources(connection, batch=500)
        query = "select count(*) from pg_prepared_statements where statement like '%overdue%'"
        row = await (await connection.execute(query)).fetchone()
    assert row == (0,)


async def collide(dsn: str, database: Database, outcome: Outcome, change: LiteralString) -> Written:
    """Complete while another transaction changes the row and commits."""
    for _ in range(TRIES):
        async with (
            await AsyncConnection.connect(dsn) as holder,
            database.connection() as connection,
        ):
            await holder.execute(change, [outcome.claim.object_id])
            completing = asyncio.create_task(work.complete(connection, [outcome]))
            await asyncio.sleep(0.01)
            assert not completing.done()
            await holder.commit()
            try:
                return await completing
            except LockNotAvailable:
                continue
    pytest.fail("no completion waited for a commit")


async def test_a_completion_that_waited_for_an_inform_leaves_the_new_object_to_be_worked(
    dsn: str, database: Database, observer: Observer, outcomes: list[Outcome]
) -> None:
    outcome = outcomes[0]
    written = await collide(dsn, database, outcome, INFORM)
    if not written:  # a server may leave out what has moved in the meantime
        async with database.connection() as connection:
            assert await work.still_held(connection, [outcome.claim]) == {outcome.claim.id}
            written = await work.complete(connection, [outcome])
    assert written == {outcome.claim.id: 0.0}
    row = await observer.resource("item-1")
    assert (row["state"], row["attempt"], row["synced_generation"]) == ("scheduled", 0, 1)


async def test_a_completion_does_so_also_for_a_role_with_an_isolation_of_its_own(
    dsn: str, outcomes: list[Outcome]
) -> None:
    strict = Database(make_conninfo(dsn, options="-c default_transaction_isolation=serializable"))
    await strict.open()
    await collide(dsn, strict, outcomes[0], INFORM)
    await strict.close()


async def test_a_completion_that_waited_for_a_rescue_changes_nothing(
    dsn: str, database: Database, observer: Observer, outcomes: list[Outcome]
) -> None:
    assert await collide(dsn, database, outcomes[0], RESCUE) == {}
    row: dict[str, Any] = await observer.resource("item-1")
    assert (row["state"], row["synced_at"]) == ("pending", None)
    assert await observer.events() == []


async def test_the_lock_of_the_log_is_waited_for_with_more_patience(
    dsn: str, database: Database, observer: Observer, outcomes: list[Outcome]
) -> None:
    with psycopg.connect(dsn) as writer, writer.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(hashtextextended('delta.delta_event', 0))")
        async with database.connection() as connection:
            completing = asyncio.create_task(work.complete(connection, outcomes))
            await asyncio.sleep(0.2)
            assert not completing.done()
            writer.rollback()
            cursor.execute("select pg_advisory_unlock_all()")
            assert len(await completing) == 3
    assert await observer.states() == {"synced": 3}
