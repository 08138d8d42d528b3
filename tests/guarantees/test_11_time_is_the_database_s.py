import ast
from pathlib import Path
from typing import Any

import pytest

import delta_cli.engine
from delta_cli import Client, NamespaceConfig
from tests.support.engine import Item, Stage, item_controller, quick_config, seconds, working
from tests.support.observing import Observer
from tests.support.processes import Workers
from tests.support.waiting import eventually

DAY_S = 86_400.0
ENGINE = Path(delta_cli.engine.__file__).parent
SKEWS = pytest.mark.parametrize("skew_s", [DAY_S, -DAY_S], ids=["ahead", "behind"])
#: Calls that ask this machine what time it is.
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("date", "today"), ("time", "time")}


async def stored(dsn: str, *items: Item, **settings: Any) -> None:
    async with Client(dsn, quick_config(item_controller(Stage().work), **settings)) as client:
        await client.inform_many(items)


@SKEWS
async def test_a_worker_with_a_wrong_clock_works_what_is_due_and_nothing_else(
    dsn: str, observer: Observer, workers: Workers, skew_s: float
) -> None:
    await stored(dsn, Item("now"), Item("later"))
    await observer.do(
        "update delta_resource set due_at = now() + interval '1 hour' where object_id = 'later'"
    )
    await workers.start(dsn, "quick", clock_skew_s=skew_s)
    await observer.until_state("now", "synced")
    assert (await observer.resource("later"))["state"] == "scheduled"
    assert await observer.value(
        "select abs(extract(epoch from now() - synced_at)) < 60 from delta_resource"
        " where object_id = 'now'"
    )


@SKEWS
async def test_leases_and_retries_of_a_worker_with_a_wrong_clock_are_right(
    dsn: str, observer: Observer, workers: Workers, skew_s: float
) -> None:
    await stored(dsn, Item("a"))
    hanging = await workers.start(dsn, "hang", clock_skew_s=skew_s, resource_work_timeout=300.0)
    row = await observer.until_state("a", "pending")
    # The time limit and half a minute of grace.
    assert row["lease_until"] - row["updated_at"] == seconds(330)
    workers.open_gate()
    await hanging.drain()
    await workers.start(dsn, "fail", clock_skew_s=skew_s)
    await stored(dsn, Item("b"))
    row = await eventually(lambda: failed(observer))
    assert row["due_at"] - row["updated_at"] == seconds(0.01)
    assert await observer.value(
        "select abs(extract(epoch from now() - (errors -> 0 ->> 'at')::timestamptz)) < 60"
        " from delta_resource where object_id = 'b'"
    )


async def failed(observer: Observer) -> Any:
    row = await observer.resource("b")
    return row if row["state"] == "failed" else None


@SKEWS
async def test_a_worker_with_a_wrong_clock_neither_rescues_nor_is_rescued(
    dsn: str, observer: Observer, workers: Workers, skew_s: float
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("mine"))
        await eventually(lambda: stage.running)
        skewed = await workers.start(dsn, "hang", clock_skew_s=skew_s, parallelism=1)
        await client.inform(Item("its"))
        await eventually(workers.running)
        # Both have had their chances to rescue by the time that both have beaten again.
        await eventually(lambda: all_beat_since_a_second(observer))
        assert await observer.states() == {"pending": 2}
        assert await observer.events() == []
        stage.open.set()
        workers.open_gate()
        await observer.until_all("synced", 2)
        assert (await skewed.drain())["counts"]["lost"] == 0


async def all_beat_since_a_second(observer: Observer) -> bool:
    return await observer.value(
        "select bool_and(heartbeat_at > started_at + interval '1 second') from delta_worker"
        " where state = 'running'"
    )


@SKEWS
async def test_a_worker_with_a_wrong_clock_expires_what_is_past_its_ttl_and_nothing_else(
    dsn: str, observer: Observer, workers: Workers, skew_s: float
) -> None:
    namespaces = {"default": NamespaceConfig(expiry_ttl=seconds(3600))}
    await stored(dsn, Item("old"), Item("young"), namespaces=namespaces)
    await workers.start(dsn, "quick", clock_skew_s=skew_s)
    await observer.until_all("synced", 2)
    await observer.do(
        "update delta_resource set updated_at = now() - interval '61 minutes'"
        " where object_id = 'old'"
    )

    async def again() -> bool:
        return (await observer.resource("old"))["sync_count"] == 2

    await eventually(again)
    assert (await observer.resource("young"))["sync_count"] == 1


def clocks_in(source: str) -> list[int]:
    """The lines of a module that ask this machine for the time of day."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, (ast.Name, ast.Attribute))
        and (getattr(node.value, "id", getattr(node.value, "attr", "")), node.attr) in CLOCKS
    ]


#: The embedded server decides over files of this very machine, a service that no client has
#: attached has no database to ask, nor has a resource that the test of a controller makes, and the
#: doctor tells how wrong this machine's clock is.
OF_THIS_MACHINE = {
    ENGINE / "embedded",
    *(ENGINE / "ticks/memory.py", ENGINE / "resource.py", ENGINE / "doctor.py"),
}


def test_no_module_of_the_engine_asks_this_machine_for_the_time_of_day() -> None:
    modules = [path for path in ENGINE.rglob("*.py") if not OF_THIS_MACHINE & {path, *path.parents}]
    assert len(modules) > 30
    found = {str(path): clocks_in(path.read_text()) for path in modules}
    assert not any(found.values()), found


def test_the_search_for_clocks_finds_them() -> None:
    source = "import datetime, time\nnow = datetime.datetime.now\nthen = time.time()\n"
    assert clocks_in(source) == [2, 3]
