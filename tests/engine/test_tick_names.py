from datetime import timedelta
from typing import Any

import pytest

from delta_cli import Config, ConfigError, TickService
from delta_cli.engine.tick_names import BUILT_IN_TICKS, stable_lock_id


def tick(name: str, *, lock_id: int | None = None) -> TickService:
    return TickService(name, timedelta(hours=1), lambda: None, lock_id=lock_id)


def test_two_ticks_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"ticks\[1\] has the name 'app', which ticks\[0\] has"):
        Config(ticks=[tick("app"), tick("app")])


def test_two_ticks_of_one_lock_are_refused_naming_both() -> None:
    with pytest.raises(ConfigError, match="ticks 'one' and 'two' have one lock_id, 7"):
        Config(ticks=[tick("one", lock_id=7), tick("two", lock_id=7)])


@pytest.mark.parametrize("name", BUILT_IN_TICKS)
def test_the_name_of_a_built_in_tick_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"the name '{name}', which the built-in tick has too"):
        Config(ticks=[tick(name)])


def test_the_lock_of_a_built_in_tick_is_refused_in_its_schema_alone() -> None:
    lock_id = stable_lock_id("other", "clean")
    with pytest.raises(ConfigError, match=f"ticks 'clean' and 'app' have one lock_id, {lock_id}"):
        Config(ticks=[tick("app", lock_id=lock_id)], schema="other")
    assert Config(ticks=[tick("app", lock_id=lock_id)], schema="delta").ticks


@pytest.mark.parametrize("wrong", [TickService, "app", lambda: None, None])
def test_what_is_no_service_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"ticks\[0\] must be a TickService, got"):
        Config(ticks=[wrong])


@pytest.mark.parametrize("wrong", [None, 3, "app", tick("app")])
def test_ticks_that_are_no_list_are_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="ticks must be a list of TickServices, got"):
        Config(ticks=wrong)


def test_namespaces_that_are_no_mapping_are_refused() -> None:
    wrong: Any = ["eu"]
    with pytest.raises(ConfigError, match=r"namespaces must be a mapping of .*, got \['eu'\]"):
        Config(namespaces=wrong)


def test_locks_differ_between_schemas_and_names() -> None:
    ids = {stable_lock_id(schema, name) for schema in ("a", "b") for name in ("ab", "b")}
    assert len(ids) == 4


def test_programs_that_read_json_numbers_as_floats_read_locks_unchanged() -> None:
    ids = {stable_lock_id("delta", str(number)) for number in range(1_000)}
    assert all(0 <= one < 2**53 for one in ids)
    assert len(ids) == 1_000
