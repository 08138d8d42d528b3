"""Which columns of a list are shown, in which order, with or without a head."""

import pytest

from tests.cli.conftest import Here, Inform


@pytest.fixture
def listed(quick: Here, inform: Inform) -> Here:
    inform("b", "c", "a")
    return quick


def test_columns_are_chosen_in_every_format(listed: Here) -> None:
    words = ("list", "--columns", "object_id,state", "--sort", "object_id")
    rows = listed(*words, "-o", "json").expect(0).json()
    assert rows[0] == {"object_id": "a", "state": "unknown"}
    assert [row["object_id"] for row in rows] == ["a", "b", "c"]
    csv = listed(*words, "-o", "csv").expect(0).out.splitlines()
    assert csv == ["object_id,state", "a,unknown", "b,unknown", "c,unknown"]
    table = listed(*words).expect(0).out.splitlines()
    assert table[0].split() == ["object_id", "state"]
    assert table[2].split() == ["a", "unknown"]
    lines = listed(*words, "-o", "jsonl").expect(0).lines()
    assert lines[2] == {"object_id": "c", "state": "unknown"}


def test_the_order_can_be_turned_round_and_the_head_left_out(listed: Here) -> None:
    words = ("list", "--columns", "object_id", "--sort", "-object_id", "--no-header")
    assert listed(*words).expect(0).out.split() == ["c", "b", "a"]
    assert listed(*words, "-o", "csv").expect(0).out.split() == ["c", "b", "a"]


def test_rows_without_a_value_come_last(listed: Here) -> None:
    rows = listed("list", "--sort", "-synced_at", "-o", "json").expect(0).json()
    assert len(rows) == 3


@pytest.mark.parametrize("option", ["--columns", "--sort"])
def test_a_column_that_is_not_there_is_told_with_those_that_are(listed: Here, option: str) -> None:
    refused = listed("list", option, "colour").expect(2)
    assert f"{option}: there is no column 'colour'" in refused.err
    assert "object_id" in refused.err
    assert refused.out == ""


def test_events_that_come_one_by_one_have_columns_too(listed: Here) -> None:
    listed("delete", "item", "a", "b", "--yes").expect(0)
    words = ("subscribe", "--since", "0", "--no-follow", "--columns", "object_id,generation")
    table = listed(*words).expect(0).out.splitlines()
    assert [line.split() for line in table[-2:]] == [["a", "1"], ["b", "1"]]
    assert table[0].split() == ["object_id", "generation"]
    plain = listed(*words, "--no-header", "-o", "csv").expect(0).out.splitlines()
    assert plain[-2:] == ["a,1", "b,1"]
    assert "object_id" not in plain[0]
    lines = listed(*words, "-o", "jsonl").expect(0).lines()
    assert lines[-1] == {"object_id": "b", "generation": 1}


def test_events_that_come_one_by_one_cannot_be_sorted(listed: Here) -> None:
    refused = listed("subscribe", "--sort", "kind").expect(2)
    assert "--sort: what comes one by one has the order in which it comes" in refused.err
    assert "there is no column 'colour'" in listed("subscribe", "--columns", "colour").expect(2).err
