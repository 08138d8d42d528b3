"""Calls that are given what they cannot take: refused by the argument's name, with nothing done."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from delta_cli import (
    Client,
    ConfigError,
    DeltaError,
    InformOptions,
    InvalidObject,
    Repair,
    SyncClient,
)
from delta_cli.engine.arguments import check_key, check_run
from tests.support.engine import Stage, item_controller, quick_config

HELD = "holds a character that the database cannot store"
Call = Callable[[Client], Awaitable[Any]]


@pytest.fixture
async def client(dsn: str) -> AsyncIterator[Client]:
    config = quick_config(item_controller(Stage(opened=True).work))
    async with Client(dsn, config) as client:
        yield client


#: What is asked for by what the refusal says.
REFUSED: dict[str, Call] = {
    "object_id must be text, got 5": lambda client: client.get("item", 5),  # pyright: ignore[reportArgumentType]
    "kind must be text, got None": lambda client: client.get(None, "a"),  # pyright: ignore[reportArgumentType]
    "object_id must be text, got 6": lambda client: client.wait_for("item", 6),  # pyright: ignore[reportArgumentType]
    "object_id must be text, got 7": lambda client: client.invalidate("item", 7),  # pyright: ignore[reportArgumentType]
    "object_id must be text, got 8": lambda client: client.control.cancel("item", 8, actor="me"),  # pyright: ignore[reportArgumentType]
    f"actor 'x\\x00' {HELD}": lambda client: client.retry("item", "a", actor="x\0"),
    f"actor 'y\\x00' {HELD}": lambda client: client.repair_many(Repair.RETRY, [], actor="y\0"),
    "what must be a Repair, got 'retry'": lambda client: client.repair_many("retry", []),  # pyright: ignore[reportArgumentType]
    "run_id must be a whole number, got 'x'": lambda client: client.inform_run("x"),  # pyright: ignore[reportArgumentType]
    "requested_by must be text, got None": lambda client: client.schedule_inform(
        "item",
        requested_by=None,  # pyright: ignore[reportArgumentType]
    ),
    f"labels['a'] '\\ud800' {HELD}": lambda client: client.schedule_inform(
        "item", InformOptions(labels={"a": "\ud800"})
    ),
    "namespaces: namespace 'A B' is not valid": lambda client: client.start(namespaces=["A B"]),
    "kinds must be a list of text or None, got 'one'": lambda client: client.drained("one"),
    "kinds must be a list of text or None, got 'two'": lambda client: client.wait_until_drained(
        "two"
    ),
}


@pytest.mark.parametrize("told", REFUSED)
async def test_a_call_is_refused_by_the_name_of_its_argument(client: Client, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        await REFUSED[told](client)


FILTERS: dict[str, dict[str, Any]] = {
    "kinds: kind 3 is not valid": {"kinds": [3]},
    r"kinds: kind 'a\x00' is not valid": {"kinds": ["a\0"]},
    "namespaces: namespace 'A B' is not valid": {"namespaces": ["A B"]},
}


async def test_a_subscription_is_refused_names_that_nothing_has(client: Client) -> None:
    for told, given in FILTERS.items():
        with pytest.raises(ConfigError, match=re.escape(told)):
            client.subscribe(**given)


async def test_only_a_filter_chooses_resources(client: Client) -> None:
    with pytest.raises(ConfigError, match="chosen must be a ResourceFilter or None, got 'x'"):
        client.resources("x")  # pyright: ignore[reportArgumentType]


def test_a_client_without_an_event_loop_refuses_the_same(dsn: str) -> None:
    calls: dict[str, Callable[[SyncClient], Any]] = {
        "objects must give an iterable of objects, got None": lambda sync: sync.inform_many(None),  # pyright: ignore[reportArgumentType]
        "object_id must be text, got 5": lambda sync: sync.invalidate("item", 5),  # pyright: ignore[reportArgumentType]
        f"actor '\\x00' {HELD}": lambda sync: sync.invalidate("item", "a", actor="\0"),
        f"requested_by '\\x00' {HELD}": lambda sync: sync.schedule_inform(
            "item", requested_by="\0"
        ),
    }
    with SyncClient(dsn) as sync:
        for told, call in calls.items():
            with pytest.raises(ConfigError, match=re.escape(told)):
                call(sync)


@pytest.mark.parametrize("field", ["kind", "object_id", "namespace"])
def test_text_that_can_name_no_resource_is_refused_as_an_object_of_that_name(field: str) -> None:
    key = {"kind": "item", "object_id": "a", "namespace": "default"}
    check_key(**key)
    with pytest.raises(InvalidObject, match=f"{field} contains a NUL") as refusal:
        check_key(**key | {field: "a\0"})
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (InformOptions(order_by="\ud800"), "order_by"),
        (InformOptions(labels={"\0": "a"}), "a key of labels"),
        (InformOptions(labels={"a": "\0"}), "labels['a']"),
    ],
)
def test_options_of_a_run_that_cannot_be_stored_are_refused(
    options: InformOptions, told: str
) -> None:
    with pytest.raises(DeltaError, match=f"^{re.escape(told)} .*{HELD}"):
        check_run("item", options, "client")
    check_run("item", InformOptions(order_by="a", labels={"ä": "ö"}), "client")
