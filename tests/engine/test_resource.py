"""A resource that a test of a controller makes for itself is as `work()` gets it."""

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from delta_cli import (
    AttemptError,
    Change,
    Client,
    Config,
    ConfigError,
    Controller,
    InformOpts,
    InvalidObject,
    ObjectSettings,
    Resource,
    client_from_context,
    client_in_context,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
#: Not how often it was claimed and synced: that is of a row with a history.
FACTS = (
    *("namespace", "kind", "object_id", "attempt", "max_attempts", "priority"),
    "external_created_at",
    *("object", "last_synced", "changes", "errors", "metadata", "tags"),
)


@dataclass
class User:
    id: int
    name: str
    groups: tuple[str, ...] = ()
    created_at: datetime | None = field(default=None)
    kind: ClassVar[str] = "user"

    @classmethod
    def settings(cls) -> ObjectSettings:
        return ObjectSettings(max_attempts=3)


class UserController(Controller[User]):
    """Keeps what `work()` received."""

    def __init__(self) -> None:
        self.received: list[Resource[User]] = []

    async def work(self, resource: Resource[User]) -> None:
        self.received.append(resource)


def facts(resource: Resource[Any]) -> dict[str, Any]:
    return {name: getattr(resource, name) for name in FACTS}


def error(attempt: int) -> AttemptError:
    return AttemptError(attempt, NOW, "OSError", "no", "trace", 7)


async def test_a_resource_of_an_object_is_what_a_worker_gives_to_work(dsn: str) -> None:
    controller = UserController()
    opts = InformOpts("eu", tags=("vip",), metadata={"team": "red"}, priority=2)
    first = User(1, "Bob", ("a", "b"), created_at=NOW)
    second = User(1, "Rob", ("a",), created_at=NOW)
    async with Client(dsn, Config(controllers=[controller])) as client:
        await client.start()
        await client.wait_for(await client.inform(first, opts), timeout=timedelta(seconds=30))
        await client.wait_for(await client.inform(second, opts), timeout=timedelta(seconds=30))
        await client.invalidate("user", "1", namespace="eu")
        await client.wait_until_drained()
    made = (
        Resource.of(first, opts),
        Resource.of(second, opts, last_synced=first),
        Resource.of(second, opts, last_synced=second),
    )
    for received, resource in zip(controller.received, made, strict=True):
        assert received.object is not resource.object
        assert facts(resource) == facts(received)


async def test_what_work_receives_is_what_the_table_holds_meanwhile(dsn: str) -> None:
    class Comparing(Controller[User]):
        async def work(self, resource: Resource[User]) -> None:
            row = await client_from_context().get("user", "1")
            shared = {name.name for name in fields(row)} & set(dir(resource)) - {"object"}
            assert {"state", "updated_at", "term", "tags"} <= shared
            for name in shared:
                compared[name] = (getattr(resource, name), getattr(row, name))

    compared: dict[str, tuple[Any, Any]] = {}
    async with Client(dsn, Config(controllers=[Comparing()])) as client:
        await client.start()
        await client.wait_for(await client.inform(User(1, "Bob")), timeout=timedelta(seconds=30))
    assert compared
    assert {name for name, (given, stored) in compared.items() if given != stored} == set()


def test_a_later_attempt_has_its_errors() -> None:
    resource = Resource.of(User(1, "Bob"), attempt=3, errors=[error(1), error(2)])
    assert (resource.attempt, resource.max_attempts) == (3, 3)
    assert resource.errors == [error(1), error(2)]


def test_what_was_last_synced_may_be_what_is_desired() -> None:
    resource = Resource.of(User(1, "Bob"), last_synced=User(1, "Bob"))
    assert (resource.last_synced, resource.changes) == (User(1, "Bob"), [])
    drifted = Resource.of(User(1, "Bob"), last_synced=User(1, "Rob"))
    assert drifted.last_synced == User(1, "Rob")
    assert drifted.changes == [Change("name", "Rob", "Bob")]
    assert Resource.of(User(1, "Bob")).last_synced is None


@pytest.mark.parametrize("attempt", [0, 4])
def test_an_attempt_that_cannot_be_is_refused(attempt: int) -> None:
    with pytest.raises(ConfigError, match=f"attempt must be 1 to 3.*, got {attempt}"):
        Resource.of(User(1, "Bob"), attempt=attempt)


def test_an_object_that_would_be_refused_is_refused_as_by_inform() -> None:
    with pytest.raises(InvalidObject, match="field 'name'"):
        Resource.of(User(1, None))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="does not say its kind"):
        Resource.of(object())
    with pytest.raises(InvalidObject, match="last_synced is '2', and the object is '1'"):
        Resource.of(User(1, "Bob"), last_synced=User(2, "Bob"))


async def test_a_work_that_is_tested_finds_the_client_that_the_test_gives(dsn: str) -> None:
    class Telling(Controller[User]):
        async def work(self, resource: Resource[User]) -> None:
            await client_from_context().inform(User(2, f"friend of {resource.object.name}"))

    async with Client(dsn) as client:
        with client_in_context(client):
            await Telling().work(Resource.of(User(1, "Bob")))
        assert (await client.get("user", "2")).object["name"] == "friend of Bob"
