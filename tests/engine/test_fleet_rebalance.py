import asyncio
from collections.abc import AsyncGenerator
from typing import LiteralString

import pytest

from delta_cli.engine.database import Connection, Database
from delta_cli.engine.store import maintenance, quota, work, workers
from delta_cli.engine.store.quota import Grant, Report
from delta_cli.engine.ticks.rebalance import QuotaGauges, rebalance
from tests.support.fleet import LIMIT_KIND, LIMIT_NAMESPACE, RESOURCES, Hand
from tests.support.observing import Observer
from tests.support.waiting import eventually

GRANTED: LiteralString = "select granted from delta_grant order by worker_id, scope"
QUOTAS: LiteralString = """
select scope, name, slot_limit, granted, used, workers from delta_quota order by scope, name
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
    async with await database.connect() as connection:
        yield connection


async def granted(observer: Observer) -> list[int]:
    return [count for (count,) in await observer.rows(GRANTED)]


async def busy(database: Database, connection: Connection, **parallelism: int) -> Hand:
    """A worker that uses all that it is granted."""
    hand = await Hand.join(database, **parallelism)
    await rebalance(database)
    await hand.control.look()
    await hand.claim(connection)
    return hand


async def lose(observer: Observer, hand: Hand) -> None:
    await observer.do("update delta_worker set state = 'lost' where id = %s", hand.id)


async def test_a_limit_is_shared_evenly_and_counted_as_it_is_granted(
    database: Database, observer: Observer
) -> None:
    await observer.do(LIMIT_KIND, 7)
    await observer.do(LIMIT_NAMESPACE, None, 5)
    for _ in range(2):
        await Hand.join(database)
    assert await rebalance(database) == 12
    assert await granted(observer) == [4, 3, 3, 2]
    assert await rebalance(database) == 0


async def test_without_limits_there_is_nothing_to_share(
    database: Database, observer: Observer
) -> None:
    await Hand.join(database)
    assert await rebalance(database) == 0
    assert await observer.rows(QUOTAS) == []


async def test_nothing_is_granted_while_a_living_worker_has_not_taken_notice(
    database: Database, observer: Observer, connection: Connection
) -> None:
    early = await Hand.join(database)
    assert await early.claim(connection, most=3) == 3
    await observer.do(LIMIT_KIND, 7)
    await Hand.join(database)
    assert await rebalance(database) == 0
    await early.control.look()
    assert await rebalance(database) == 4
    assert await granted(observer) == [4, 3]


async def test_a_worker_of_other_kinds_or_namespaces_is_not_waited_for(
    database: Database, observer: Observer
) -> None:
    await observer.do(
        "insert into delta_worker (host, pid, version, kinds, namespaces, capacity)"
        " values ('there', 1, '1', '{other}', '{red}', 10)"
    )
    await observer.do(LIMIT_KIND, 7)
    await observer.do(LIMIT_NAMESPACE, None, 7)
    await Hand.join(database)
    assert await rebalance(database) == 14


async def test_what_is_pending_without_any_grant_is_not_granted_again(
    database: Database, observer: Observer, connection: Connection
) -> None:
    early = await Hand.join(database)
    assert await early.claim(connection, most=3) == 3
    await lose(observer, early)
    await observer.do(LIMIT_KIND, 7)
    await Hand.join(database)
    assert await rebalance(database) == 4
    await maintenance.rescue_resources(connection, batch=100)
    assert await rebalance(database) == 3


async def test_the_slots_of_a_lost_worker_come_back_when_its_resources_are_rescued(
    database: Database, observer: Observer, connection: Connection
) -> None:
    await observer.do(LIMIT_KIND, 7)
    first = await busy(database, connection)
    await Hand.join(database)
    await lose(observer, first)
    assert await rebalance(database) == 0
    assert await granted(observer) == [7, 0]
    await maintenance.rescue_resources(connection, batch=100)
    assert await rebalance(database) == 7
    assert await granted(observer) == [7]


async def test_the_slots_of_a_worker_that_stopped_come_back_at_once(
    database: Database, observer: Observer, connection: Connection
) -> None:
    await observer.do(LIMIT_KIND, 7)
    first = await busy(database, connection)
    await Hand.join(database)
    await first.finish(connection, 7)
    await workers.stop(connection, first.id)
    assert await rebalance(database) == 7
    assert await granted(observer) == [7]


async def test_a_worker_that_drains_gets_nothing_more(
    database: Database, observer: Observer
) -> None:
    await observer.do(LIMIT_KIND, 7)
    hand = await Hand.join(database)
    await observer.do("update delta_worker set state = 'draining'")
    assert await rebalance(database) == 0
    await Hand.join(database)
    assert await rebalance(database) == 7
    assert await observer.rows("select worker_id = %s, granted from delta_grant", hand.id) == [
        (True, 0),
        (False, 7),
    ]


async def test_a_worker_that_is_paused_leaves_its_slots_to_others(
    database: Database, observer: Observer
) -> None:
    await observer.do(LIMIT_KIND, 6)
    paused, other = await Hand.join(database), await Hand.join(database)
    await rebalance(database)
    assert await granted(observer) == [3, 3]
    await observer.do(
        "insert into delta_pause (scope, name) values ('worker', %s::text)", paused.id
    )
    await rebalance(database)
    await paused.control.look()  # gives back what it does not use
    assert await rebalance(database) == 3
    await other.control.look()
    assert await granted(observer) == [0, 6]
    await observer.do("delete from delta_pause")
    await rebalance(database)
    await other.control.look()
    assert await rebalance(database) == 3


async def test_a_limit_that_shrinks_takes_back_what_is_not_used_first(
    database: Database, observer: Observer, connection: Connection
) -> None:
    await observer.do(LIMIT_KIND, 8)
    hands = [await Hand.join(database) for _ in range(2)]
    await rebalance(database)
    for hand in hands:
        await hand.control.look()
    await hands[0].claim(connection, most=4)
    await hands[1].claim(connection, most=1)
    await observer.do(LIMIT_KIND, 4)
    assert await rebalance(database) == 0
    for hand in hands:
        await hand.control.look()
    assert await granted(observer) == [4, 2]
    assert await rebalance(database) == 0


async def test_a_limit_that_is_lifted_takes_its_grants_along(
    database: Database, observer: Observer
) -> None:
    await observer.do(LIMIT_KIND, 7)
    await Hand.join(database)
    await rebalance(database)
    await observer.do(LIMIT_KIND, None)
    assert await rebalance(database) == 0
    assert (await granted(observer), await observer.rows(QUOTAS)) == ([], [])


async def test_passes_at_the_same_time_grant_no_slot_twice(
    database: Database, observer: Observer
) -> None:
    await observer.do(LIMIT_KIND, 7)
    for _ in range(3):
        await Hand.join(database, parallelism=3)
    assert sum(await asyncio.gather(*(rebalance(database) for _ in range(6)))) == 7
    assert await granted(observer) == [3, 2, 2]


async def test_a_pass_tells_the_workers_unless_hints_are_off(
    database: Database, observer: Observer, connection: Connection
) -> None:
    await connection.execute('listen "delta.control"')
    await observer.do(LIMIT_KIND, 7)
    await Hand.join(database)
    await rebalance(database, notify=False)
    await Hand.join(database)
    await rebalance(database)
    heard = [one.channel async for one in connection.notifies(timeout=5, stop_after=1)]
    assert heard == ["delta.control"]
    assert [one async for one in connection.notifies(timeout=0)] == []


async def test_the_gauges_tell_limit_grants_use_and_workers(
    database: Database, observer: Observer, connection: Connection
) -> None:
    await observer.do(LIMIT_KIND, 7)
    await observer.do(LIMIT_NAMESPACE, None, 50)
    await busy(database, connection, parallelism=5)
    await Hand.join(database)
    await rebalance(database)
    await QuotaGauges(database).update_quota_metrics()
    assert await observer.rows(QUOTAS) == [
        ("kind", "item", 7, 7, 5, 2),
        ("namespace", "default", 50, 15, 5, 2),
    ]


# Claims under a limit of the fleet


async def test_a_claim_under_a_limit_needs_a_grant(
    database: Database, observer: Observer, connection: Connection
) -> None:
    hand = await Hand.join(database)
    assert len(await hand.claim_blindly(connection, 1)) == 1
    await observer.do(LIMIT_NAMESPACE, None, 7)
    assert await hand.claim_blindly(connection, 1) == []
    await hand.control.look()
    assert len(await hand.claim_blindly(connection, 1)) == 1
    await observer.do(LIMIT_KIND, 7)
    assert await hand.claim_blindly(connection, 1) == []


async def test_a_worker_that_was_given_up_in_its_sleep_claims_nothing_under_a_limit(
    database: Database, observer: Observer, connection: Connection
) -> None:
    await observer.do(LIMIT_KIND, 7)
    asleep = await busy(database, connection)
    heir = await Hand.join(database)
    await lose(observer, asleep)
    await maintenance.rescue_resources(connection, batch=100)
    await rebalance(database)
    asleep.end(7)
    asleep.ended.clear()
    assert await asleep.claim(connection) == 0
    await asleep.control.look()
    await heir.control.look()
    assert await heir.claim(connection) == 7
    assert await granted(observer) == [7]


async def test_a_grant_under_which_a_claim_is_being_made_is_left(
    database: Database, observer: Observer, connection: Connection
) -> None:
    await observer.do(LIMIT_KIND, 7)
    asleep = await Hand.join(database)
    await rebalance(database)
    await asleep.control.look()
    await Hand.join(database)
    await lose(observer, asleep)
    async with connection.transaction():
        assert len(await asleep.claim_blindly(connection, 7)) == 7
        # The claim is not visible yet; its grant is kept all the same, and nobody waits.
        assert await rebalance(database) == 0
    assert await granted(observer) == [7, 0]
    assert await rebalance(database) == 0


async def test_a_claim_waits_for_the_removal_of_its_grant_and_then_gets_nothing(
    database: Database, observer: Observer, connection: Connection
) -> None:
    await observer.do(LIMIT_KIND, 7)
    asleep = await Hand.join(database)
    await rebalance(database)
    async with observer.connection.transaction():
        await observer.do("delete from delta_grant")
        claiming = asyncio.create_task(asleep.claim_blindly(connection, 7))
        async with database.connection() as other:
            await eventually(lambda: waits_for_a_lock(other))
    assert await claiming == []


async def test_a_claim_that_nobody_hears_of_any_more_is_waited_for_and_given_back(
    database: Database, observer: Observer, connection: Connection
) -> None:
    hand = await Hand.join(database)
    async with database.connection() as other, database.connection() as third:
        async with connection.transaction():
            claims = await hand.claim_blindly(connection, 7)
            (known,) = {(claim.id, claim.term) for claim in claims[:1]}
            older = {(claim.id, claim.term - 1) for claim in claims[1:]}
            waiting = asyncio.create_task(
                work.release_others(other, lambda: {known, *older}, worker_id=hand.id)
            )
            await eventually(lambda: waits_for_a_lock(third))
            assert not waiting.done()
        assert await waiting == 0
    assert await observer.value("select id from delta_resource where state = 'pending'") == known[0]


async def test_a_report_of_a_grant_that_has_changed_meanwhile_counts_no_more(
    database: Database, observer: Observer, connection: Connection
) -> None:
    await observer.do(LIMIT_KIND, 4)
    hand = await busy(database, connection)
    seen = Grant(capacity=10, target=2, granted=4, used=0)
    late = Report(("kind", "item"), capacity=10, used=2, kept=2)
    assert not await quota.report(connection, hand.id, [(late, seen)])
    assert await granted(observer) == [4]


async def waits_for_a_lock(connection: Connection) -> bool:
    cursor = await connection.execute(
        "select count(*) > 0 from pg_stat_activity"
        " where datname = current_database() and wait_event_type = 'Lock'"
    )
    row = await cursor.fetchone()
    return row is not None and row[0]
