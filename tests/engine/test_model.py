import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delta_cli import InvalidObject, Resource, ResourceRow, ResourceState
from delta_cli.engine.changes import Change, changes_between
from delta_cli.engine.model.inform import InformCounts
from delta_cli.engine.model.resource_row import AttemptError
from delta_cli.engine.objects import ObjectType

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.sampled_from("abc"), part),
    max_leaves=10,
)


# Changes


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [Change("a", 1, 2)]),
        ({"a": 1}, {}, [Change("a", 1, None)]),
        ({}, {"a": 1}, [Change("a", None, 1)]),
        (None, {"a": 1}, [Change("", None, {"a": 1})]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [Change("a.c", 2, 3)]),
        ({"l": [1, 2]}, {"l": [1, 3]}, [Change("l.1", 2, 3)]),
        ({"l": [1]}, {"l": [1, 2]}, [Change("l", [1], [1, 2])]),
        ({"a": [1]}, {"a": {"0": 1}}, [Change("a", [1], {"0": 1})]),
        ({"b": 1, "a": 1}, {"a": 2, "b": 2}, [Change("a", 1, 2), Change("b", 1, 2)]),
        ({"a": True}, {"a": 1}, [Change("a", True, 1)]),
        ({"a": False}, {"a": 0}, [Change("a", False, 0)]),
        ({"a": {}}, {"a": []}, [Change("a", {}, [])]),
        ({"a": None}, {}, [Change("a", None, None)]),
    ],
)
def test_changes_name_each_path_that_differs(old: Any, new: Any, changes: list[Change]) -> None:
    found = changes_between(old, new)
    assert [(one.path, json.dumps([one.old, one.new])) for one in found] == [
        (one.path, json.dumps([one.old, one.new])) for one in changes
    ]


@given(values)
@settings(database=None, deadline=None)
def test_equal_values_have_no_changes(value: Any) -> None:
    assert changes_between(value, json.loads(json.dumps(value))) == []


@given(values, values)
@settings(database=None, deadline=None)
def test_values_of_different_json_have_changes(old: Any, new: Any) -> None:
    differ = json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True)
    assert bool(changes_between(old, new)) == differ


# Rows


ROW = ResourceRow(
    id=1,
    namespace="default",
    kind="user",
    object_id="bob",
    state=ResourceState.SCHEDULED,
    generation=1,
    synced_generation=None,
    term=0,
    attempt=0,
    max_attempts=10,
    sync_count=0,
    priority=1,
    due_at=NOW,
    lease_until=None,
    worker_id=None,
    created_at=NOW,
    updated_at=NOW,
    attempted_at=None,
    synced_at=None,
    external_created_at=None,
    object={"name": "Bob"},
    hash=b"",
    last_synced_object=None,
    metadata={},
    tags=[],
    errors=[],
)


def test_a_row_that_was_never_synced_has_changed_as_a_whole() -> None:
    assert ROW.last_synced is None
    assert ROW.changes == [Change("", None, {"name": "Bob"})]


def test_a_row_without_drift_was_last_synced_as_it_is() -> None:
    row = replace(ROW, synced_at=NOW)
    assert row.last_synced == {"name": "Bob"}
    assert row.changes == []


def test_a_row_with_drift_knows_what_was_synced() -> None:
    row = replace(ROW, synced_at=NOW, last_synced_object={"name": "Rob"})
    assert row.last_synced == {"name": "Rob"}
    assert row.changes == [Change("name", "Rob", "Bob")]


# Claimed resources


def claimed(
    *,
    synced_at: datetime | None = None,
    stored: str = '{"name": "Bob"}',
    last_synced: str | None = None,
) -> Resource[Any]:
    resource: Resource[Any] = Resource.from_claim(
        [
            *(1, "default", "user", "bob", 2, 1, 3, 1, 10, 4, 1, NOW, NOW, synced_at, None),
            *('{"team": "red"}', '["vip"]', None, stored, last_synced),
        ]
    )
    resource.decode_with(json.loads)
    return resource


def test_a_claim_carries_its_object_metadata_and_tags() -> None:
    resource = claimed()
    assert resource.object == {"name": "Bob"}
    assert (resource.metadata, resource.tags, resource.errors) == ({"team": "red"}, ["vip"], [])
    assert repr(resource) == "Resource(user/bob, namespace='default')"


def test_a_claim_before_the_first_sync_has_nothing_last_synced() -> None:
    assert claimed().last_synced is None
    assert claimed().changes == [Change("", None, {"name": "Bob"})]


def test_a_claim_without_drift_was_last_synced_as_it_is() -> None:
    resource = claimed(synced_at=NOW)
    assert resource.last_synced == {"name": "Bob"}
    assert resource.changes == []


def test_a_claim_with_drift_knows_what_was_synced() -> None:
    resource = claimed(synced_at=NOW, last_synced='{"name": "Rob"}')
    assert resource.last_synced == {"name": "Rob"}
    assert resource.changes == [Change("name", "Rob", "Bob")]


def test_what_was_last_synced_may_no_longer_fit_the_class() -> None:
    def decode(text: str) -> Any:
        if "Rob" in text:
            raise InvalidObject("no", field="name")
        return json.loads(text)

    resource = claimed(synced_at=NOW, last_synced='{"name": "Rob"}')
    resource.decode_with(decode)
    with pytest.raises(InvalidObject):
        _ = resource.last_synced
    assert resource.changes == [Change("name", "Rob", "Bob")]


@dataclass
class User:
    name: str
    email: str
    id: ClassVar[str] = "bob"
    kind: ClassVar[str] = "user"


def test_a_last_synced_object_that_no_longer_fits_is_told_as_that_with_the_way_out() -> None:
    resource = claimed(
        synced_at=NOW,
        stored='{"name": "Bob", "email": "bob@hello.com"}',
        last_synced='{"name": "Bob"}',
    )
    resource.decode_with(ObjectType(User).decode)
    with pytest.raises(InvalidObject) as refused:
        _ = resource.last_synced
    assert refused.value.message == (
        "the last synced object of user/bob does not fit its class: field 'email': Field required"
    )
    assert refused.value.field == "email"
    assert "resource.changes" in str(refused.value.hint)


def test_an_error_of_the_database_becomes_a_value() -> None:
    stored = {"attempt": 2, "at": NOW.isoformat(), "error": "WorkerLost", "message": "worker lost"}
    assert AttemptError.from_json(stored) == AttemptError(2, NOW, "WorkerLost", "worker lost")


def test_counts_add_up_field_by_field() -> None:
    total = InformCounts(seen=2, created=1, stale=1) + InformCounts(seen=1, refused=1)
    assert total == InformCounts(seen=3, created=1, stale=1, refused=1)
