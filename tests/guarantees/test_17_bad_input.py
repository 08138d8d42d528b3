import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import pytest

from delta_cli import Client, InformCounts, InformOpts, InvalidObject, Resource, SyncClient
from tests.support.engine import Item, Stage, item_controller, quick_config, working
from tests.support.observing import Observer
from tests.support.waiting import eventually


@dataclass
class Thing:
    """An object of which everything can be wrong."""

    key: Any
    text: str = ""
    number: float = 0.0
    any: Any = None
    created_at: Any = None
    kind: ClassVar[str] = "thing"

    @property
    def id(self) -> Any:
        return self.key


@dataclass
class BadKind(Item):
    kind: ClassVar[str] = "no spaces please"


#: A bad object, and the field that the refusal has to name.
BAD: dict[str, tuple[Any, str]] = {
    "oversized": (Thing("a", text="x" * 2_000_000), "object"),
    "nul in a field": (Thing("a", text="nul \0 byte"), "text"),
    "nul in the id": (Thing("a\0b"), "id"),
    "nul deep inside": (Thing("a", any={"deep": ["er", {"st": "\0"}]}), "any.deep.1.st"),
    "nul in a key": (Thing("a", any={"k\0": 1}), "any"),
    "not a number": (Thing("a", number=float("nan")), "number"),
    "infinite": (Thing("a", number=float("-inf")), "number"),
    "not a number deep inside": (Thing("a", any=[1.0, float("nan")]), "any.1"),
    "half a character": (Thing("a", text="half \ud800"), "text"),
    "half a character in the id": (Thing("\udfff"), "id"),
    "wrong type of a field": (Thing("a", text=7), "text"),  # pyright: ignore[reportArgumentType]
    "wrong type of the id": (Thing(["a"]), "id"),
    "no id": (Thing(None), "id"),
    "an empty id": (Thing(""), "id"),
    "a long id": (Thing("x" * 255), "id"),
    "a creation time that is none": (Thing("a", created_at="yesterday"), "created_at"),
    "a creation time without a zone": (
        Thing("a", created_at=datetime(2024, 1, 1)),  # noqa: DTZ001
        "created_at",
    ),
    "what JSON does not know": (Thing("a", any=object()), "any"),
}
EACH = pytest.mark.parametrize(("bad", "field"), BAD.values(), ids=BAD)


async def count(observer: Observer) -> tuple[int, int]:
    rows = await observer.rows(
        "select (select count(*) from delta_resource), (select count(*) from delta_namespace)"
    )
    return rows[0][0], rows[0][1]


@EACH
async def test_a_bad_object_is_refused_and_changes_nothing(
    dsn: str, observer: Observer, bad: Any, field: str
) -> None:
    async with Client(dsn, quick_config()) as client:
        with pytest.raises(InvalidObject) as refusal:
            await client.inform(bad)
        assert field in refusal.value.field
        assert refusal.value.field in refusal.value.message
        assert await count(observer) == (0, 0)


@EACH
async def test_a_bad_object_among_many_is_refused_with_all_that_was_not_stored(
    dsn: str, observer: Observer, bad: Any, field: str
) -> None:
    async with Client(dsn, quick_config()) as client:
        with pytest.raises(InvalidObject) as refusal:
            await client.inform_many([Thing("before"), bad, Thing("after")])
        assert field in refusal.value.field
        assert await count(observer) == (0, 0)


async def test_bad_objects_among_many_may_be_passed_over_and_are_counted(
    dsn: str, observer: Observer
) -> None:
    refused: list[InvalidObject] = []
    things = [Thing("before"), *(bad for bad, _ in BAD.values()), Thing("after")]
    async with Client(dsn, quick_config()) as client:
        counts = await client.inform_many(things, on_refused=refused.append)
        assert counts == InformCounts(seen=len(things), created=2, refused=len(BAD))
        assert len(refused) == len(BAD)
        assert await count(observer) == (2, 1)


async def test_a_bad_object_leaves_the_stored_one_as_it_was(dsn: str, observer: Observer) -> None:
    async with Client(dsn, quick_config()) as client:
        await client.inform(Thing("a", text="good"))
        before = await observer.resource("a")
        for bad, _ in BAD.values():
            with pytest.raises(InvalidObject):
                await client.inform(bad)
        assert await observer.resource("a") == before


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"namespace": "Not Allowed"}, "namespace"),
        ({"namespace": "x" * 65}, "namespace"),
        ({"tags": ("ok-tag", "no!")}, "tags"),
        ({"tags": "letters"}, "tags"),
        ({"priority": 5}, "priority"),
        ({"priority": True}, "priority"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"metadata": ["no", "mapping"]}, "metadata"),
        ({"metadata": {"nul": "\0"}}, "metadata"),
        ({"metadata": {"number": float("nan")}}, "metadata"),
    ],
)
async def test_bad_options_are_refused_and_change_nothing(
    dsn: str, observer: Observer, options: dict[str, Any], field: str
) -> None:
    async with Client(dsn, quick_config()) as client:
        with pytest.raises(InvalidObject) as refusal:
            await client.inform(Item("a"), InformOpts(**options))
        assert field in refusal.value.field
        assert field.removesuffix("s") in refusal.value.message
        assert await count(observer) == (0, 0)


async def test_a_bad_kind_is_refused_whatever_it_is_told_by(dsn: str, observer: Observer) -> None:
    async with Client(dsn, quick_config()) as client:
        for bad in (BadKind("a"), object(), "text", None, {"id": "a"}):
            with pytest.raises(ValueError, match="kind"):
                await client.inform(bad)
        assert await count(observer) == (0, 0)


async def test_a_refusal_leaves_a_caller_s_transaction_usable(dsn: str, observer: Observer) -> None:
    import psycopg

    async with (
        Client(dsn, quick_config()) as client,
        await psycopg.AsyncConnection.connect(dsn) as connection,
    ):
        await client.inform(Thing("good"), connection=connection)
        with pytest.raises(InvalidObject):
            await client.inform(Thing("a\0"), connection=connection)
        await client.inform(Thing("better"), connection=connection)
        await connection.commit()
        assert await count(observer) == (2, 1)


@pytest.mark.parametrize(
    ("stored", "field"),
    [
        ({"key": "a", "value": "seven"}, "value"),
        ({"value": 7}, "key"),
        ([1, 2], "object"),
        (None, "object"),
    ],
)
async def test_a_stored_object_that_its_class_no_longer_accepts_is_a_failed_attempt(
    dsn: str, observer: Observer, stored: Any, field: str
) -> None:
    stage = Stage(opened=True)
    async with Client(dsn, quick_config(item_controller(stage.work), max_attempts=2)) as client:
        await client.inform_many([Item("a"), Item("good")])
        await observer.do(
            "update delta_resource set object = %s::jsonb where object_id = 'a'", json.dumps(stored)
        )
        await client.start()
        row = await observer.until_state("a", "degraded")
        assert [error["error"] for error in row["errors"]] == ["InvalidObject"] * 2
        assert field in row["errors"][0]["message"]
        await observer.until_state("good", "synced")
        assert [item.key for item in stage.begun] == ["good"]


async def test_a_good_object_mends_one_that_could_not_be_read(dsn: str, observer: Observer) -> None:
    stage = Stage(opened=True)
    async with working(dsn, item_controller(stage.work), max_attempts=1) as client:
        await client.inform(Item("a"))
        await observer.until_state("a", "synced")
        await observer.do("update delta_resource set object = '[]'")
        await client.invalidate("item", "a")
        await observer.until_state("a", "degraded")
        await client.inform(Item("a", 1))
        row = await observer.until_state("a", "synced")
        assert (row["synced_generation"], row["errors"]) == (2, [])


async def test_awkward_but_good_text_comes_back_as_it_was(dsn: str, observer: Observer) -> None:
    awkward = ["\x1b[31mred", "[bold]x[/]", "'; drop table x; --", "%s %(x)s", "\u202eabc", "é\n\t"]
    seen: dict[str, Any] = {}

    async def work(resource: Resource[Any]) -> None:
        seen[resource.object_id] = resource.object.key

    async with working(dsn, item_controller(work, parallelism=10)) as client:
        await client.inform_many(Item(text) for text in awkward)
        await eventually(lambda: len(seen) == len(awkward))
        assert seen == {text: text for text in awkward}


async def test_half_a_character_in_the_name_of_a_resource_is_refused(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn) as client:
        for ask in (client.get, client.retry, client.delete, client.invalidate):
            with pytest.raises(InvalidObject, match="lone surrogate") as refusal:
                await ask("item", "half \udcff")
            assert refusal.value.field == "object_id"
    with SyncClient(dsn) as sync_client, pytest.raises(InvalidObject, match="lone surrogate"):
        sync_client.invalidate("item", "half \udcff")
