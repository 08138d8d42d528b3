"""Settings of namespaces and limits of kinds in the database: who sets them, and what they do."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from psycopg import sql

from delta_cli import Client, ConfigError, InformOpts, NamespaceConfig
from delta_cli.engine.model.fleet import NamespaceRow
from tests.support.engine import Item, Stage, item_controller, quick_config, seconds, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

EU = InformOpts(namespace="eu")
FULL = NamespaceConfig(
    max_workers=3,
    fleet_max_workers=7,
    synced_retention=timedelta(hours=1),
    degraded_retention=timedelta(hours=2),
    deleted_retention=timedelta(days=-1),
)


async def the_namespace(client: Client) -> NamespaceRow:
    (row,) = await client.control.namespaces()
    return row


# Setting


async def test_a_namespace_that_is_set_is_made_and_told(dsn: str) -> None:
    async with Client(dsn) as client:
        assert await client.control.namespaces() == []
        row = await client.control.set_namespace("eu", FULL)
        assert await the_namespace(client) == row
        assert (row.name, row.max_workers, row.fleet_max_workers) == ("eu", 3, 7)
        assert (row.expiry_ttl_s, row.synced_retention_s) == (None, 3_600.0)
        assert (row.degraded_retention_s, row.deleted_retention_s) == (7_200.0, -86_400.0)
        assert not row.paused
        await client.control.pause("namespace", "eu")
        assert (await the_namespace(client)).paused


async def test_set_replaces_all_and_change_leaves_what_is_not_named(dsn: str) -> None:
    async with Client(dsn) as client:
        await client.control.set_namespace("eu", FULL)
        row = await client.control.change_namespace(
            "eu", {"max_workers": 4, "synced_retention": None}
        )
        assert (row.max_workers, row.fleet_max_workers) == (4, 7)
        assert (row.synced_retention_s, row.degraded_retention_s) == (None, 7_200.0)
        row = await client.control.set_namespace("eu", NamespaceConfig(max_workers=1))
        assert (row.max_workers, row.fleet_max_workers, row.degraded_retention_s) == (1, None, None)


async def test_two_that_change_different_settings_at_once_both_succeed(dsn: str) -> None:
    async with Client(dsn) as one, Client(dsn) as other:
        for number in range(1, 11):
            await asyncio.gather(
                one.control.change_namespace("eu", {"max_workers": number}),
                other.control.change_namespace("eu", {"fleet_max_workers": number}),
            )
            row = await the_namespace(one)
            assert (row.max_workers, row.fleet_max_workers) == (number, number)


BAD: dict[str, tuple[str, Mapping[str, Any]]] = {
    "max_workers must be a whole number from 1 to 10000, got 0": ("eu", {"max_workers": 0}),
    "max_workers must be .* got 10001": ("eu", {"max_workers": 10_001}),
    "max_workers must be .* got '3'": ("eu", {"max_workers": "3"}),
    "fleet_max_workers must be .* got -1": ("eu", {"fleet_max_workers": -1}),
    "expiry_ttl must not be negative": ("eu", {"expiry_ttl": timedelta(days=-1)}),
    "expiry_ttl must be a timedelta or None, got 300": ("eu", {"expiry_ttl": 300}),
    "expiry_ttl of namespace 'eu' must be at most 36500 days, got 40000 days": (
        "eu",
        {"expiry_ttl": timedelta(days=40_000), "synced_retention": None},
    ),
    "expiry_ttl and synced_retention exclude each other": ("eu", {"expiry_ttl": seconds(1)}),
    "has no setting 'ttl'": ("eu", {"ttl": seconds(1)}),
    "namespace 'E U' is not valid": ("E U", {"max_workers": 1}),
}


@pytest.mark.parametrize("message", BAD)
async def test_bad_settings_are_refused_and_change_nothing(dsn: str, message: str) -> None:
    name, settings = BAD[message]
    async with Client(dsn) as client:
        before = await client.control.set_namespace("eu", FULL)
        with pytest.raises(ConfigError, match=message):
            await client.control.change_namespace(name, settings)
        assert await client.control.namespaces() == [before]


async def test_a_refused_change_makes_no_namespace(dsn: str) -> None:
    async with Client(dsn) as client:
        with pytest.raises(ConfigError):
            await client.control.change_namespace("eu", {"max_workers": 0})
        with pytest.raises(ConfigError, match="must be a NamespaceConfig"):
            await client.control.set_namespace("eu", {})  # pyright: ignore[reportArgumentType]
        assert await client.control.namespaces() == []


# Obeying


async def test_a_worker_follows_a_limit_at_once(dsn: str, observer: Observer) -> None:
    stage = Stage()
    controller = item_controller(stage.work, parallelism=10)
    async with Client(dsn) as operator:
        await operator.control.set_namespace("eu", NamespaceConfig(max_workers=1))
        async with working(dsn, controller, poll_interval=seconds(60)) as client:
            await client.inform_many((Item(f"item-{number}") for number in range(8)), EU)
            await eventually(lambda: stage.running == 1)
            await operator.control.change_namespace("eu", {"max_workers": 4})
            await eventually(lambda: stage.running == 4)
            assert stage.most_running == 4


async def test_a_ttl_is_obeyed_at_the_next_pass_and_zero_switches_it_off(
    dsn: str, observer: Observer
) -> None:
    stage = Stage(opened=True)
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a"), EU)
        await eventually(lambda: len(stage.begun) == 1)
        row = await client.control.set_namespace(
            "eu", NamespaceConfig(expiry_ttl=timedelta(milliseconds=10))
        )
        assert row.expiry_ttl_s == 0.01
        await eventually(lambda: len(stage.begun) > 2)
        row = await client.control.change_namespace("eu", {"expiry_ttl": timedelta(0)})
        assert row.expiry_ttl_s is None
        await observer.until_all("synced", 1)
        begun = len(stage.begun)
        await client.tick("expire")
        assert (await observer.states(), len(stage.begun)) == ({"synced": 1}, begun)


# Applications that differ


def replaced(caplog: pytest.LogCaptureFixture) -> list[tuple[Any, ...]]:
    """Whose setting was said to be replaced: its name, both values."""
    warnings = [
        vars(record)
        for record in caplog.records
        if record.message == "setting replaced" and record.levelno == logging.WARNING
    ]
    return [
        (one.get("namespace") or one.get("kind"), one["setting"], one["before"], one["after"])
        for one in warnings
    ]


async def start(dsn: str, config: NamespaceConfig, **kind: Any) -> None:
    """Let an application that configures a namespace and a kind make itself known."""
    controller = item_controller(Stage().work, **kind)
    async with Client(dsn, quick_config(controller, namespaces={"eu": config})):
        pass


async def test_the_last_start_wins_and_says_what_it_replaces(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    await start(dsn, NamespaceConfig(max_workers=3, synced_retention=timedelta(hours=1)))
    assert replaced(caplog) == []
    await start(dsn, NamespaceConfig(max_workers=5, expiry_ttl=timedelta(minutes=5)))
    assert replaced(caplog) == [
        ("eu", "expiry_ttl", None, timedelta(minutes=5)),
        ("eu", "max_workers", 3, 5),
        ("eu", "synced_retention", timedelta(hours=1), None),
    ]
    async with Client(dsn) as client:
        row = await the_namespace(client)
        assert (row.max_workers, row.expiry_ttl_s, row.synced_retention_s) == (5, 300.0, None)


async def test_the_same_settings_again_are_no_news(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = NamespaceConfig(max_workers=3, expiry_ttl=timedelta(0))
    await start(dsn, config, fleet_parallelism=2)
    async with Client(dsn) as client:
        before = await the_namespace(client)
    await start(dsn, config, fleet_parallelism=2)
    assert replaced(caplog) == []
    async with Client(dsn) as client:
        assert await the_namespace(client) == before


async def test_a_namespace_that_nobody_has_set_is_configured_without_a_word(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Client(dsn) as client:
        await client.inform(Item("a"), EU)
    await start(dsn, NamespaceConfig(max_workers=3))
    assert replaced(caplog) == []
    async with Client(dsn) as client:
        assert (await the_namespace(client)).max_workers == 3


async def test_an_application_that_wants_no_limit_is_told_to_be_overruled(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    await start(dsn, NamespaceConfig())
    await start(dsn, NamespaceConfig(max_workers=3))
    assert replaced(caplog) == [("eu", "max_workers", None, 3)]


async def test_an_application_says_when_it_replaces_what_an_operator_has_set(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Client(dsn) as client:
        await client.control.set_namespace("eu", NamespaceConfig(max_workers=9))
    await start(dsn, NamespaceConfig(max_workers=3))
    assert replaced(caplog) == [("eu", "max_workers", 9, 3)]


async def test_the_fleet_parallelism_of_a_kind_is_that_of_the_last_start_which_says_so(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    await start(dsn, NamespaceConfig(), fleet_parallelism=2)
    await start(dsn, NamespaceConfig(), fleet_parallelism=4)
    await start(dsn, NamespaceConfig())
    assert replaced(caplog) == [
        ("item", "fleet_parallelism", 2, 4),
        ("item", "fleet_parallelism", 4, None),
    ]
    async with Client(dsn) as client:
        (row,) = await client.control.controllers()
        assert row.fleet_parallelism is None


@pytest.mark.parametrize(
    ("table", "setting"),
    [("delta_namespace", "max_workers"), ("delta_controller", "fleet_parallelism")],
)
async def test_of_two_that_start_at_once_the_last_is_told_what_the_other_has_set(
    dsn: str, observer: Observer, caplog: pytest.LogCaptureFixture, table: str, setting: str
) -> None:
    await start(dsn, NamespaceConfig(max_workers=1), fleet_parallelism=1)
    async with observer.connection.transaction():
        hold = sql.SQL("select from {} for update").format(sql.Identifier(table))
        await observer.connection.execute(hold)
        starts = [
            asyncio.create_task(
                start(dsn, NamespaceConfig(max_workers=limit), fleet_parallelism=limit)
            )
            for limit in (2, 3)
        ]

        async def both_wait() -> bool:
            # Within a transaction, the first look would hold for all.
            await observer.value("select pg_stat_clear_snapshot()")
            waiting = (
                "select count(*) from pg_stat_activity"
                " where datname = current_database() and wait_event_type = 'Lock'"
            )
            return await observer.value(waiting) == 2

        await eventually(both_wait)
    await asyncio.gather(*starts)
    changes = [one[2:] for one in replaced(caplog) if one[1] == setting]
    assert sorted(changes) in ([(1, 2), (2, 3)], [(1, 3), (3, 2)])


async def test_a_duration_beyond_the_calendar_is_refused_at_the_start_too(
    dsn: str, observer: Observer
) -> None:
    with pytest.raises(ConfigError, match="deleted_retention of namespace 'eu' must be at most"):
        await start(dsn, NamespaceConfig(deleted_retention=timedelta(days=999_999)))
    assert await observer.value("select count(*) from delta_namespace") == 0
