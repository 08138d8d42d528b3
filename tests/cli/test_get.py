"""One resource with its timeline."""

import pytest

from tests.cli.conftest import Here, Inform
from tests.cli.test_subscribe import EVENT
from tests.support.command_line import CommandLine


@pytest.fixture
def busy(shop: CommandLine, inform: Inform) -> CommandLine:
    """`delta` where a was synced, invalidated by ann and synced again, and b was synced."""
    inform("a", "b")
    shop("run", "--drain").expect(0)
    shop("invalidate", "item", "a", "--yes").expect(0)
    shop("run", "--drain").expect(0)
    return shop


CATEGORIES = ["object_synced", "object_invalidated", "object_synced"]


@pytest.mark.usefixtures("busy")
def test_the_timeline_has_the_resource_s_own_events_the_newest_last(quick: Here) -> None:
    timeline = quick("get", "item", "a", "-o", "json").expect(0).json()["timeline"]
    assert [event["category"] for event in timeline] == CATEGORIES
    assert [list(event) for event in timeline] == [EVENT] * 3
    ids = [event["id"] for event in timeline]
    assert ids == sorted(ids)
    assert {event["object_id"] for event in timeline} == {"a"}


@pytest.mark.usefixtures("busy")
def test_the_timeline_is_as_long_as_asked(quick: Here) -> None:
    def timeline(count: int) -> list[str]:
        words = ("get", "item", "a", "--events", str(count), "-o", "json")
        return [event["category"] for event in quick(*words).expect(0).json()["timeline"]]

    assert timeline(0) == []
    assert timeline(1) == CATEGORIES[2:]
    assert timeline(2) == CATEGORIES[1:]
    assert timeline(99) == CATEGORIES
    quick("get", "item", "a", "--events", "-1").expect(2)


@pytest.mark.usefixtures("busy")
def test_the_table_has_the_timeline_beneath(quick: Here) -> None:
    table = quick("get", "item", "a").expect(0).out
    assert table.count("object_synced") == 2
    assert "last events" not in quick("get", "item", "a", "--events", "0").expect(0).out


def test_a_resource_without_events_has_an_empty_timeline(quick: Here, inform: Inform) -> None:
    inform("a")
    assert quick("get", "item", "a", "-o", "json").expect(0).json()["timeline"] == []
    assert "last events" not in quick("get", "item", "a").expect(0).out


def test_a_resource_that_is_elsewhere_is_found_by_the_hint(quick: Here) -> None:
    words = ("--object", '{"id": "a"}', "--namespace", "eu")
    quick("inform", "item", *words).expect(0)
    assert "hint: it is in --namespace eu" in quick("get", "item", "a").expect(5).err
    assert "hint: see what there is with: delta list item" in quick("get", "item", "b").err
