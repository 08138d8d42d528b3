"""Settings of a wrong type are refused where they are given, by name, with an example."""

from collections.abc import Callable
from dataclasses import fields
from datetime import date, timedelta
from typing import Any

import pytest

from delta_cli import (
    Client,
    Config,
    ConfigError,
    Controllers,
    DeltaError,
    ExponentialBackoff,
    InformOptions,
    InformOpts,
    NamespaceConfig,
    ObjectSettings,
    Snooze,
    SyncClient,
)
from tests.support.engine import Item, item_controller

WRONG: Any = 5
TEXT: Any = "5"

REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "work_timeout must be a timedelta or None, got 5": (
        lambda: ObjectSettings(work_timeout=WRONG),
        "write work_timeout=timedelta(seconds=5)",
    ),
    "parallelism must be a whole number, got None": (
        lambda: ObjectSettings(parallelism=None),  # pyright: ignore[reportArgumentType]
        "write parallelism=10",
    ),
    "fleet_parallelism must be a whole number or None, got True": (
        lambda: ObjectSettings(fleet_parallelism=True),
        "write fleet_parallelism=10",
    ),
    "expiry_ttl must be a timedelta or None, got '5'": (
        lambda: NamespaceConfig(expiry_ttl=TEXT),
        "write expiry_ttl=timedelta(seconds=5)",
    ),
    "shutdown_timeout must be a timedelta, got None": (
        lambda: Config(shutdown_timeout=None),  # pyright: ignore[reportArgumentType]
        "write shutdown_timeout=timedelta(seconds=5)",
    ),
    "poll_only must be True or False, got '5'": (
        lambda: Config(poll_only=TEXT),
        "write poll_only=True",
    ),
    "schema must be text, got 5": (lambda: Config(schema=WRONG), "write schema='text'"),
    "controllers must be a list of Controllers, got 5": (
        lambda: Config(controllers=WRONG),
        "write controllers=[Controller(...)]",
    ),
    "controllers must be a list of Controllers, got '5'": (
        lambda: Config(controllers=TEXT),
        "write controllers=[Controller(...)]",
    ),
    "namespaces['eu'] must be a NamespaceConfig, got 5": (
        lambda: Config(namespaces={"eu": WRONG}),
        "such as NamespaceConfig(...)",
    ),
    "a key of namespaces must be text, got 5": (
        lambda: Config(namespaces={WRONG: NamespaceConfig()}),
        "such as 'text'",
    ),
    "limit must be a whole number or None, got '5'": (
        lambda: InformOptions(limit=TEXT),
        "write limit=10",
    ),
    "after must be a datetime or None, got datetime.date(2024, 1, 2)": (
        lambda: InformOptions(after=date(2024, 1, 2)),  # pyright: ignore[reportArgumentType]
        "write after=datetime.now(UTC)",
    ),
    "labels must be a mapping of text to text, got 5": (
        lambda: InformOptions(labels=WRONG),
        "write labels={'text': 'text'}",
    ),
    "labels['a'] must be text, got 5": (
        lambda: InformOptions(labels={"a": WRONG}),
        "such as 'text'",
    ),
    "base must be a timedelta, got 5": (
        lambda: ExponentialBackoff(base=WRONG),
        "write base=timedelta(seconds=5)",
    ),
    "factor must be a number, got '5'": (
        lambda: ExponentialBackoff(factor=TEXT),
        "write factor=2.0",
    ),
    "backoff of ItemController must be a RetryPolicy, got 5": (
        lambda: Controllers([item_controller(lambda _: None, backoff=WRONG)]),
        "such as RetryPolicy(...)",
    ),
    "Snooze(delay) must be a timedelta, got 5": (
        lambda: Snooze(WRONG),
        "write Snooze(timedelta(minutes=5))",
    ),
    "config must be a Config or None, got 5": (
        lambda: Client(None, WRONG),
        "write config=Config(...)",
    ),
    "dsn must be text or None, got 5": (lambda: SyncClient(WRONG), "write dsn='text'"),
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_setting_of_a_wrong_type_is_refused(message: str) -> None:
    make, hint = REFUSED[message]
    with pytest.raises(ConfigError) as caught:
        make()
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    "cls", [Config, ObjectSettings, NamespaceConfig, InformOptions, InformOpts, ExponentialBackoff]
)
def test_every_setting_refuses_what_it_cannot_be_and_takes_its_default(cls: type[Any]) -> None:
    default = cls()
    for field in fields(cls):
        with pytest.raises(DeltaError, match=field.name.removesuffix("s")):
            cls(**{field.name: object()})
        assert getattr(cls(**{field.name: getattr(default, field.name)}), field.name) == getattr(
            default, field.name
        )


def test_what_may_hold_a_password_is_not_shown() -> None:
    wrong: Any = b"password=secret"
    with pytest.raises(ConfigError, match="direct_dsn must be text or None") as caught:
        Config(direct_dsn=wrong)
    assert "secret" not in str(caught.value)


def test_a_long_value_is_cut_short() -> None:
    with pytest.raises(ConfigError) as caught:
        InformOptions(limit=TEXT * 1_000)
    assert len(caught.value.message) < 200


def test_a_number_may_be_whole() -> None:
    assert ExponentialBackoff(factor=3).bound(2) == timedelta(seconds=6)


async def test_arguments_of_a_wrong_type_are_refused(dsn: str) -> None:
    async with Client(dsn, Config(controllers=[item_controller(lambda _: None)])) as client:
        with pytest.raises(ConfigError, match="opts must be an InformOpts, got"):
            await client.inform(Item("a"), TEXT)
        with pytest.raises(ConfigError, match="options must be an InformOptions or None, got"):
            await client.schedule_inform("item", TEXT)
        with pytest.raises(ConfigError, match="timeout must be a timedelta or None, got 5"):
            await client.wait_for("item", "a", timeout=WRONG)
        with pytest.raises(ConfigError, match="kinds must be a list of text or None, got 'item'"):
            await client.start(kinds="item")
        assert [row async for row in client.resources()] == []
