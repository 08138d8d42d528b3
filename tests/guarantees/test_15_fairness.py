"""A backlog of 100,000 due resources delays nobody else's; of 1,000,000 with DELTA_TEST_LARGE=1.

To work the backlog alone takes a minute at least, so whoever has to wait for it is noticed.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from typing import Any, LiteralString

import psycopg
import pytest

from delta_cli import Client, InformOpts, NamespaceConfig, Resource
from tests.support.databases import Databases
from tests.support.engine import Item, item_controller, quick_config, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

BACKLOG = 1_000_000 if os.environ.get("DELTA_TEST_LARGE") == "1" else 100_000
FEW = 100
PARALLELISM = 10
WORK_S = 0.005
#: What the README promises, of a machine that has nothing else to do.
SOON_S = 2.0

# One process fills the table once for all tests; a million rows take their time.
pytestmark = [pytest.mark.xdist_group("fairness"), pytest.mark.timeout(900)]

FILL: LiteralString = """
insert into delta.delta_resource (
    namespace, kind, object_id, state, max_attempts, priority, due_at, object, hash
)
select
    'default', 'item', 'backlog-' || i, 'scheduled', 10, %s,
    now() - i * interval '1 millisecond', '{"key": "backlog", "value": 0}', ''
from generate_series(1, %s) as i
"""


@pytest.fixture(scope="module")
def filled(databases: Databases, template: str) -> Generator[str]:
    """The name of a database with a backlog in one lane, of priority 2, to be cloned."""
    name = f"{template}_backlog"
    dsn = databases.create(name, template=template)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("insert into delta.delta_namespace (name) values ('default')")
        connection.execute(FILL, (2, BACKLOG))
        connection.execute("vacuum analyze delta.delta_resource")
    yield name
    databases.drop(dsn)


@pytest.fixture
def dsn(databases: Databases, filled: str) -> Generator[str]:
    """A database of its own for each test, with the backlog."""
    dsn = databases.create(template=filled)
    yield dsn
    databases.drop(dsn)


class Works:
    """What was worked, in order; each work takes a few milliseconds."""

    def __init__(self) -> None:
        self.worked: list[str] = []
        self.pace_s: float = 0.0  # seconds for one work, of all slots together

    async def work(self, resource: Resource[Item]) -> None:
        self.worked.append(resource.object_id)
        await asyncio.sleep(WORK_S)

    @property
    def backlog(self) -> int:
        """How many of the backlog were begun so far."""
        return sum(object_id.startswith("backlog") for object_id in self.worked)

    async def busy(self) -> None:
        """Until the backlog is being worked at full speed, whatever that is here and now."""
        began, more = time.monotonic(), 5 * PARALLELISM
        goal = len(self.worked) + more
        await eventually(lambda: len(self.worked) >= goal, within=30)
        self.pace_s = (time.monotonic() - began) / more


@pytest.fixture
async def informer(dsn: str) -> AsyncGenerator[Client]:
    """A client that informs and does not work."""
    async with Client(dsn, quick_config()) as client:
        yield client


async def inform(client: Client, count: int, kind: str = "item", **options: Any) -> None:
    item_class = item_controller(Works().work, kind=kind).object_class()
    await client.inform_many(
        [item_class(f"few-{number}") for number in range(count)], InformOpts(**options)
    )


async def few_synced(observer: Observer, count: int) -> bool:
    synced = await observer.value(
        "select count(*) from delta_resource where state = 'synced' and object_id like 'few-%'"
    )
    return synced == count


async def slowest_s(observer: Observer) -> float:
    """How long it took from an inform to its sync, for the slowest of the few."""
    return await observer.value(
        "select extract(epoch from max(synced_at - created_at))::float8 from delta_resource"
        " where object_id like 'few-%'"
    )


async def assert_soon(observer: Observer, works: Works, count: int = FEW) -> None:
    """The few are worked in no time, and the backlog gets no more than its share meanwhile."""
    before = works.backlog
    await eventually(lambda: few_synced(observer, count), within=30)
    meanwhile = works.backlog - before
    # They and as many of the backlog take their time, on a loaded machine more than was promised.
    assert await slowest_s(observer) < max(SOON_S, 3 * 2 * count * works.pace_s)
    # Its share is as many as the few; more is what runs when they come and when they have ended.
    assert meanwhile < 4 * count + 5 * PARALLELISM
    assert works.backlog < BACKLOG // 4


@pytest.mark.parametrize("priority", [1, 2, 4], ids=["urgent", "equal", "less-urgent"])
async def test_a_backlog_in_one_namespace_does_not_delay_another(
    dsn: str, observer: Observer, informer: Client, priority: int
) -> None:
    works = Works()
    async with working(dsn, item_controller(works.work, parallelism=PARALLELISM)):
        await works.busy()
        await inform(informer, FEW, namespace="other", priority=priority)
        await assert_soon(observer, works)


async def test_it_does_not_where_no_hint_tells_of_the_other(dsn: str, observer: Observer) -> None:
    works = Works()
    async with (
        working(dsn, item_controller(works.work, parallelism=PARALLELISM), notify=False),
        Client(dsn, quick_config(notify=False)) as informer,
    ):
        await works.busy()
        await inform(informer, FEW, namespace="other")
        await assert_soon(observer, works)


async def test_it_does_not_where_one_slot_is_for_all(
    dsn: str, observer: Observer, informer: Client
) -> None:
    works = Works()
    async with working(dsn, item_controller(works.work, parallelism=1)):
        await works.busy()
        await inform(informer, 20, namespace="other")
        await assert_soon(observer, works, 20)


async def test_it_does_not_delay_many_namespaces_either(
    dsn: str, observer: Observer, informer: Client
) -> None:
    works, namespaces = Works(), 50
    async with working(dsn, item_controller(works.work, parallelism=PARALLELISM)):
        await works.busy()
        for number in range(namespaces):
            await inform(informer, 2, namespace=f"other-{number}")
        await assert_soon(observer, works, 2 * namespaces)


@pytest.mark.parametrize("max_workers", [None, PARALLELISM], ids=["own-slots", "shared-slots"])
async def test_a_backlog_of_one_kind_does_not_delay_another(
    dsn: str, observer: Observer, informer: Client, max_workers: int | None
) -> None:
    works = Works()
    kinds = [item_controller(works.work, kind=kind, parallelism=10) for kind in ("item", "other")]
    namespaces = {"default": NamespaceConfig(max_workers=max_workers)}
    async with working(dsn, *kinds, namespaces=namespaces):
        await works.busy()
        await inform(informer, FEW, kind="other")
        await assert_soon(observer, works)


async def test_within_a_lane_the_urgent_pass_the_backlog_and_it_passes_the_less_urgent(
    dsn: str, observer: Observer, informer: Client
) -> None:
    works = Works()
    item = item_controller(works.work).object_class()
    async with working(dsn, item_controller(works.work, parallelism=PARALLELISM)):
        await works.busy()
        for priority in (4, 3):
            await informer.inform(item(f"later-{priority}"), InformOpts(priority=priority))
        await inform(informer, FEW, priority=1)
        await eventually(lambda: few_synced(observer, FEW), within=30)
        assert await slowest_s(observer) < max(SOON_S, 3 * FEW * works.pace_s)
        await works.busy()
        assert [object_id for object_id in works.worked if "later" in object_id] == []


async def test_a_lane_is_worked_in_the_order_of_priority_and_then_of_age(
    dsn: str, observer: Observer, informer: Client
) -> None:
    await observer.do("truncate delta_resource")
    works = Works()
    for priority in (4, 2, 3, 1):
        for age in (1, 2):
            await inform_as(informer, f"{priority}-{age}", priority)
    async with working(dsn, item_controller(works.work, parallelism=1)):
        await eventually(lambda: len(works.worked) == 8)
    assert works.worked == sorted(works.worked)


async def inform_as(client: Client, key: str, priority: int) -> None:
    await client.inform(Item(key), InformOpts(priority=priority))


async def test_namespaces_with_backlogs_share_the_slots_evenly(
    dsn: str, observer: Observer, informer: Client
) -> None:
    works = Works()
    await observer.do(
        "insert into delta_resource (namespace, kind, object_id, state, max_attempts, due_at,"
        " object, hash) select 'other', 'item', 'theirs-' || i, 'scheduled', 10, now(),"
        ' \'{"key": "theirs", "value": 0}\', \'\' from generate_series(1, 5000) as i'
    )
    await observer.do("insert into delta_namespace (name) values ('other')")
    async with working(dsn, item_controller(works.work, parallelism=PARALLELISM)):
        await eventually(lambda: len(works.worked) > 1_000, within=60)
    shares = Counter(object_id.partition("-")[0] for object_id in works.worked)
    assert min(shares["backlog"], shares["theirs"]) > 0.4 * shares.total()
