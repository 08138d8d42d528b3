from delta_cli import Client, Event, InformOpts, NamespaceConfig
from tests.support.engine import Item, Stage, item_controller, quick_config, seconds, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

RED, BLUE = InformOpts(namespace="red"), InformOpts(namespace="blue")


async def test_the_same_id_in_two_namespaces_is_two_resources(dsn: str, observer: Observer) -> None:
    stage = Stage(opened=True)
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a", 1), RED)
        await client.inform(Item("a", 2), BLUE)
        await observer.until_all("synced", 2)
        assert sorted(stage.values) == [1, 2]
        await client.inform(Item("a", 3), RED)
        await client.delete("item", "a", namespace="blue")
        await eventually(lambda: 3 in stage.values)
        red = await client.get("item", "a", namespace="red")
        blue = await client.get("item", "a", namespace="blue")
        assert (red.object["value"], red.generation) == (3, 2)
        assert (blue.object["value"], blue.generation, blue.state) == (2, 1, "deleted")


async def test_a_worker_of_one_namespace_leaves_the_others_alone(
    dsn: str, observer: Observer
) -> None:
    stage = Stage(opened=True)
    async with Client(dsn, quick_config(item_controller(stage.work))) as client:
        await client.inform(Item("a"), RED)
        await client.inform(Item("b"), BLUE)
        await client.start(namespaces=["blue"])
        await client.wait_until_drained()
        assert [item.key for item in stage.begun] == ["b"]
        assert (await client.get("item", "a", namespace="red")).state == "scheduled"


async def test_max_workers_of_a_namespace_holds_while_others_go_on(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    namespaces = {"red": NamespaceConfig(max_workers=2)}
    controller = item_controller(stage.work, parallelism=10)
    async with working(dsn, controller, namespaces=namespaces) as client:
        await client.inform_many((Item(f"red-{number}") for number in range(6)), RED)
        await client.inform_many((Item(f"blue-{number}") for number in range(6)), BLUE)
        await eventually(lambda: stage.running == 8)
        assert await pending(observer) == {"blue": 6, "red": 2}
        stage.open.set()
        await observer.until_all("synced", 12)


async def pending(observer: Observer) -> dict[str, int]:
    rows = await observer.rows(
        "select namespace, count(*) from delta_resource where state = 'pending' group by 1"
    )
    return dict(rows)


async def test_max_workers_changes_without_a_restart(dsn: str, observer: Observer) -> None:
    stage = Stage()
    namespaces = {"red": NamespaceConfig(max_workers=1)}
    controller = item_controller(stage.work, parallelism=10)
    async with working(dsn, controller, namespaces=namespaces) as client:
        await client.inform_many((Item(f"item-{number}") for number in range(8)), RED)
        await eventually(lambda: stage.running == 1)
        await observer.do("update delta_namespace set max_workers = 4 where name = 'red'")
        await eventually(lambda: stage.running == 4)
        await observer.do("update delta_namespace set max_workers = 2 where name = 'red'")
        beats = await heartbeats(observer)
        await eventually(lambda: heartbeats_since(observer, beats))
        stage.most_running = 0
        stage.open.set()
        await observer.until_all("synced", 8)
        assert stage.most_running <= 2


async def heartbeats(observer: Observer) -> object:
    return await observer.value("select heartbeat_at from delta_worker")


async def heartbeats_since(observer: Observer, last: object) -> bool:
    """Whether a heartbeat has begun after the one at `last` had ended."""
    return await observer.value(
        "select heartbeat_at > %s + interval '250 milliseconds' from delta_worker", last
    )


async def test_parallelism_of_a_kind_holds_over_all_namespaces(
    dsn: str, observer: Observer
) -> None:
    stage = Stage(opened=True)
    async with working(dsn, item_controller(stage.work, parallelism=3)) as client:
        await client.inform_many((Item(f"item-{number}") for number in range(100)), RED)
        await client.inform_many((Item(f"item-{number}") for number in range(100)), BLUE)
        await observer.until_all("synced", 200)
        assert stage.most_running <= 3


async def test_the_ttl_of_a_namespace_changes_without_a_restart_and_for_it_alone(
    dsn: str, observer: Observer
) -> None:
    stage = Stage(opened=True)
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a"), RED)
        await client.inform(Item("a"), BLUE)
        await observer.until_all("synced", 2)
        await observer.do(
            "update delta_namespace set expiry_ttl = interval '10 milliseconds' where name = 'red'"
        )
        await eventually(lambda: synced_again(observer, "red", 3))
        assert (await observer.resource("a", "blue"))["sync_count"] == 1
        await observer.do("update delta_namespace set expiry_ttl = null")
        await eventually(client.drained)
        count = (await observer.resource("a", "red"))["sync_count"]
        await observer.do("update delta_resource set updated_at = now() - interval '1 hour'")
        await client.inform(Item("b"), RED)
        await eventually(lambda: synced_again(observer, "red", count, "b", 1))
        assert (await observer.resource("a", "red"))["sync_count"] == count


async def synced_again(
    observer: Observer, namespace: str, count: int, key: str = "a", of_key: int | None = None
) -> bool:
    row = await observer.resource(key, namespace)
    return row["sync_count"] >= (of_key or count)


async def test_retention_is_per_namespace_and_changes_without_a_restart(
    dsn: str, observer: Observer
) -> None:
    stage = Stage(opened=True)
    settings = {"cleaner_interval": seconds(0.1)}
    async with working(dsn, item_controller(stage.work), **settings) as client:
        await client.inform(Item("a"), RED)
        await client.inform(Item("a"), BLUE)
        await observer.until_all("synced", 2)
        await observer.do("update delta_resource set updated_at = now() - interval '2 hours'")
        await observer.do(
            "update delta_namespace set synced_retention = interval '1 hour' where name = 'red'"
        )

        async def left() -> bool:
            return await observer.rows("select namespace from delta_resource") == [("blue",)]

        await eventually(left)


async def test_two_schemas_in_one_database_know_nothing_of_each_other(
    dsn: str, observer: Observer
) -> None:
    from delta_cli.engine.schema import migrate

    await observer.connection.execute("create schema other")
    await migrate(observer.connection, schema="other")
    stage, other = Stage(opened=True), Stage(opened=True)
    async with (
        working(dsn, item_controller(stage.work)) as client,
        working(dsn, item_controller(other.work), schema="other") as client_of_other,
    ):
        await client.inform(Item("a", 1))
        await client_of_other.inform(Item("a", 2))
        await eventually(lambda: stage.values == [1] and other.values == [2])
        async with client_of_other.subscribe(after=0) as events:
            event = await anext(events)
        assert isinstance(event, Event)
        assert (event.object_id, event.id) == ("a", 1)
