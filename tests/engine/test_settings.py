"""Settings are checked where they are given, with a message that names the value."""

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import pytest

from delta_cli import Client, Config
from delta_cli.engine.errors import ConfigError, InvalidObject
from delta_cli.engine.settings import (
    InformOptions,
    InformOpts,
    NamespaceConfig,
    ObjectSettings,
    check_kind,
    check_namespace,
    check_tag,
)


@pytest.mark.parametrize("name", ["", "UPPER", "a b", "1st", "pg_own", "x" * 60])
def test_a_schema_that_cannot_be_migrated_is_refused_by_its_name_at_once(name: str):
    with pytest.raises(ConfigError, match=f"schema name '{name}' "):
        Config(schema=name)


@pytest.mark.parametrize("name", ["default", "a", "team-a", "team_a-2", "x" * 64])
def test_good_namespaces(name: str):
    assert check_namespace(name) == name


@pytest.mark.parametrize(
    "name", ["", "A", "a--b", "-a", "a-", "a b", "é", "a\n", "x" * 65, None, 3]
)
def test_bad_namespaces(name: Any):
    with pytest.raises(InvalidObject, match=r"namespace .* is not valid") as caught:
        check_namespace(name)
    assert caught.value.field == "namespace"


@pytest.mark.parametrize("name", ["user", "User2", "a", "crm.user/v1", "a_b-c", "x" * 127])
def test_good_kinds(name: str):
    assert check_kind(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a.", "a b", "a\0", "a\n", "x" * 128, None])
def test_bad_kinds(name: Any):
    with pytest.raises(InvalidObject, match=r"kind .* is not valid") as caught:
        check_kind(name)
    assert caught.value.field == "kind"


@pytest.mark.parametrize("tag", ["abc", "a_b", "a-b", "_a_", "x" * 255])
def test_good_tags(tag: str):
    assert check_tag(tag) == tag


@pytest.mark.parametrize("tag", ["ab", "-ab", "ab-", "a b", "a\0b", "abc\n", "x" * 256, None])
def test_bad_tags(tag: Any):
    with pytest.raises(InvalidObject, match=r"tag .* is not valid") as caught:
        check_tag(tag)
    assert caught.value.field == "tags"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InformOpts(namespace="A"), "namespace 'A' is not valid"),
        (lambda: InformOpts(tags=("ab",)), "tag 'ab' is not valid"),
        (lambda: InformOpts(priority=0), "priority must be a whole number from 1 to 4, got 0"),
        (lambda: InformOpts(priority=5), "priority must be a whole number from 1 to 4, got 5"),
        (lambda: InformOpts(max_attempts=0), "must be a whole number from 1 to 10000, got 0"),
    ],
)
def test_bad_inform_opts(make: Callable[[], object], message: str):
    with pytest.raises(InvalidObject, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ObjectSettings(parallelism=0), "parallelism must be a whole number"),
        (lambda: ObjectSettings(fleet_parallelism=10_001), "fleet_parallelism must be"),
        (lambda: ObjectSettings(max_attempts=True), "max_attempts must be .* got True"),
        (lambda: ObjectSettings(inform_overlap=timedelta(-1)), "inform_overlap must not be"),
        (lambda: NamespaceConfig(expiry_ttl=timedelta(-1)), "expiry_ttl must not be negative"),
        (lambda: NamespaceConfig(max_workers=0), "max_workers must be"),
        (
            lambda: NamespaceConfig(expiry_ttl=timedelta(1), synced_retention=timedelta(1)),
            "exclude each other",
        ),
        (lambda: InformOptions(limit=0), "limit must be 1 or more, got 0"),
        (lambda: InformOptions(after=datetime(2024, 1, 1)), "after must carry a time zone"),  # noqa: DTZ001
    ],
)
def test_bad_settings(make: Callable[[], object], message: str):
    with pytest.raises(ConfigError, match=message):
        make()


def durations(cls: type[Any]) -> list[str]:
    return [one.name for one in fields(cls) if timedelta.__name__ in str(one.type)]


@pytest.mark.parametrize("beyond", [timedelta.max, timedelta.min, timedelta(36_500, 1)])
@pytest.mark.parametrize(
    ("cls", "name"), [(cls, name) for cls in (Config, ObjectSettings) for name in durations(cls)]
)
def test_a_duration_beyond_the_calendar_is_refused(cls: Any, name: str, beyond: timedelta):
    told = f"{name} must be at most 36500 days, got {beyond.days} days"
    with pytest.raises(ConfigError, match=told):
        cls(**{name: beyond})


@pytest.mark.parametrize("cls", [Config, ObjectSettings])
def test_durations_of_a_hundred_years_are_good(cls: Any):
    century = timedelta(days=36_500)
    given = dict.fromkeys(durations(cls), century)
    if "heartbeat_interval" in given:
        given["heartbeat_interval"] = century / 2  # a worker is not lost before two of them
    assert cls(**given)


def test_a_ttl_of_zero_goes_with_a_synced_retention():
    assert NamespaceConfig(expiry_ttl=timedelta(0), synced_retention=timedelta(1))


def test_a_schema_given_in_code_beats_delta_schema_which_beats_the_default(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("DELTA_SCHEMA", "shop")
    assert [Config().schema, Client().config.schema, Config(schema="own").schema] == [
        *("shop", "shop", "own")
    ]
    monkeypatch.setenv("DELTA_SCHEMA", "")
    assert Config().schema == "delta"


def test_tags_given_as_a_list_become_a_tuple():
    assert InformOpts(tags=["abc", "def"]).tags == ("abc", "def")  # pyright: ignore[reportArgumentType]
