from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any, LiteralString

import pytest

from delta_cli.engine.database import Connection, Database
from delta_cli.engine.ticks.rebalance import rebalance
from tests.support.engine import Item, Stage, item_controller, working
from tests.support.fleet import LIMIT_KIND, LIMIT_NAMESPACE, RESOURCES, Hand
from tests.support.observing import Observer
from tests.support.waiting import eventually

GRANTS: LiteralString = """
select worker_id, scope, capacity, target, granted, used from delta_grant order by worker_id, scope
"""


@pytest.fixture
async def database(dsn: str, observer: Observer) -> AsyncGenerator[Database]:
    database = Database(dsn)
    await database.open()
    await observer.do("insert into delta_namespace (name) values ('default')")
    await observer.do(RESOURCES, "default", 100)
    yield database
    await database.close()


@pytest.fixture
async def connection(database: Database) -> AsyncGenerator[Connection]:
    connection = await database.connect()
    async with connection:
        yield connection


async def test_a_worker_begins_with_no_slot_of_the_fleet(
    database: Database, observer: Observer, connection: Connection
) -> None:
    await observer.do(LIMIT_KIND, 7)
    await observer.do(LIMIT_NAMESPACE, 3, 5)
    hand = await Hand.join(database)
    assert await observer.rows(GRANTS) == [
        (hand.id, "kind", 10, 0, 0, 0),
        (hand.id, "namespace", 3, 0, 0, 0),
    ]
    assert hand.worker.rebalance_wake.is_set()
    assert await hand.claim(connection) == 0


async def test_a_worker_uses_what_it_is_granted_after_its_next_look(
    database: Database, observer: Observer, connection: Connection
) -> None:
    await observer.do(LIMIT_KIND, 7)
    hand = await Hand.join(database)
    assert await rebalance(database) == 7
    assert await hand.claim(connection) == 0
    hand.worker.work_wake.clear()
    await hand.control.look()
    assert hand.worker.work_wake.is_set()
    assert await hand.claim(connection) == 7
    assert await hand.claim(connection) == 0


async def test_a_slot_is_held_until_the_outcome_is_written(
    database: Database, observer: Observer, connection: Connection
) -> None:
    await observer.do(LIMIT_KIND, 2)
    hand = await Hand.join(database)
    await rebalance(database)
    await hand.control.look()
    assert await hand.claim(connection) == 2
    hand.end()
    assert await hand.claim(connection) == 0
    await hand.write(connection)
    assert await hand.claim(connection) == 1


async def test_what_it_holds_beyond_its_target_is_given_back_as_works_end(
    database: Database, observer: Observer, connection: Connection
) -> None:
    await observer.do(LIMIT_KIND, 6)
    hand = await Hand.join(database)
    await rebalance(database)
    await hand.control.look()
    await hand.claim(connection)
    other = await Hand.join(database)
    assert await rebalance(database) == 0
    await hand.control.look()
    assert hand.worker.owes
    await hand.finish(connection, 1)
    hand.worker.rebalance_wake.clear()
    await hand.control.look()
    assert hand.worker.rebalance_wake.is_set()
    assert await hand.claim(connection) == 0
    assert await rebalance(database) == 1
    await hand.finish(connection, 3)
    await hand.control.look()
    assert not hand.worker.owes
    assert await rebalance(database) == 2
    assert await observer.rows(GRANTS) == [
        (hand.id, "kind", 10, 3, 3, 2),
        (other.id, "kind", 10, 3, 3, 0),
    ]
    assert await hand.claim(connection) == 1


async def test_nothing_is_written_when_nothing_has_changed(
    database: Database, observer: Observer, connection: Connection
) -> None:
    await observer.do(LIMIT_KIND, 6)
    hand = await Hand.join(database)
    await rebalance(database)
    await hand.control.look()
    await hand.claim(connection)
    await hand.control.look()
    written = await observer.rows("select xmin::text, used from delta_grant")
    hand.worker.rebalance_wake.clear()
    await hand.control.look()
    assert await observer.rows("select xmin::text, used from delta_grant") == written
    assert written[0][1] == 6
    assert not hand.worker.rebalance_wake.is_set()


async def test_a_limit_that_appears_is_kept_from_the_next_look_on(
    database: Database, observer: Observer, connection: Connection
) -> None:
    hand = await Hand.join(database)
    assert await hand.claim(connection, most=4) == 4
    await observer.do(LIMIT_KIND, 3)
    # Nothing more is claimed even before it has looked.
    assert await hand.claim(connection, most=1) == 0
    await hand.control.look()
    assert await observer.rows(GRANTS) == [(hand.id, "kind", 10, 0, 4, 4)]
    assert hand.worker.rebalance_wake.is_set()
    assert await rebalance(database) == 0
    await hand.control.look()
    await hand.finish(connection, 2)
    await hand.control.look()
    assert await observer.rows(GRANTS) == [(hand.id, "kind", 10, 3, 3, 2)]
    assert await hand.claim(connection) == 1


async def test_a_limit_that_is_lifted_is_kept_until_the_grant_is_gone(
    database: Database, observer: Observer, connection: Connection
) -> None:
    await observer.do(LIMIT_KIND, 3)
    hand = await Hand.join(database)
    await rebalance(database)
    await observer.do(LIMIT_KIND, None)
    hand.worker.rebalance_wake.clear()
    await hand.control.look()
    assert hand.worker.rebalance_wake.is_set()
    assert await hand.claim(connection) == 3
    await rebalance(database)
    await hand.control.look()
    assert await hand.claim(connection) == 7


async def test_limits_per_process_are_read_afresh(
    database: Database, observer: Observer, connection: Connection
) -> None:
    hand = await Hand.join(database)
    await observer.do(LIMIT_NAMESPACE, 2, None)
    await hand.control.look()
    assert await hand.claim(connection) == 2
    await observer.do(LIMIT_NAMESPACE, None, None)
    await hand.control.look()
    assert await hand.claim(connection) == 8


async def test_what_it_could_use_is_told_when_a_limit_per_process_changes(
    database: Database, observer: Observer
) -> None:
    await observer.do(LIMIT_NAMESPACE, 4, 20)
    hand = await Hand.join(database)
    await observer.do(LIMIT_NAMESPACE, 2, 20)
    hand.worker.rebalance_wake.clear()
    await hand.control.look()
    assert await observer.rows(GRANTS) == [(hand.id, "namespace", 2, 0, 0, 0)]
    assert hand.worker.rebalance_wake.is_set()


async def test_a_worker_that_drains_gives_back_all_that_it_does_not_hold(
    database: Database, observer: Observer, connection: Connection
) -> None:
    await observer.do(LIMIT_KIND, 6)
    hand = await Hand.join(database)
    await rebalance(database)
    await hand.control.look()
    await hand.claim(connection, most=2)
    hand.worker.draining = True
    await hand.control.look()
    assert await observer.rows(GRANTS) == [(hand.id, "kind", 0, 6, 2, 2)]
    # It is still called running, and gets nothing new all the same.
    assert await rebalance(database) == 0


async def test_a_cancel_is_taken_once(database: Database, observer: Observer) -> None:
    hand = await Hand.join(database)
    await observer.do("insert into delta_cancel values (5, 2, %s, 'ann')", hand.id)
    await observer.do("insert into delta_cancel values (6, 1, %s, 'ann')", hand.id + 1)
    await hand.control.look()
    await hand.control.look()
    assert [(one.resource_id, one.term, one.actor) for one in hand.cancels] == [(5, 2, "ann")]


async def test_under_an_id_that_was_given_up_nothing_of_the_fleet_is_claimed_or_given_back(
    database: Database, observer: Observer, connection: Connection
) -> None:
    await observer.do(LIMIT_KIND, 6)
    hand = await Hand.join(database)
    await rebalance(database)
    await hand.control.look()
    await hand.claim(connection, most=2)
    before = await observer.rows(GRANTS)
    async with hand.control.suspended():
        hand.end(2)
        hand.ended.clear()
        assert await hand.claim(connection) == 0
    # It could not register anew, as when the database is away.
    await hand.control.look()
    assert await hand.claim(connection) == 0
    assert await observer.rows(GRANTS) == before


async def test_a_change_is_followed_at_once_when_it_is_hinted_at(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    controller = item_controller(stage.work, parallelism=10)
    settings: dict[str, Any] = {"poll_interval": timedelta(seconds=60)}
    async with working(dsn, controller, **settings) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(20))
        await eventually(lambda: stage.running == 10)
        await observer.do(LIMIT_NAMESPACE, None, 2)
        await observer.do("select pg_notify('delta.control', '')")
        await eventually(lambda: granted(observer), within=5)


async def granted(observer: Observer) -> bool:
    return bool(await observer.rows(GRANTS))
