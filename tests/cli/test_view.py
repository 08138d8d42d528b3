"""Which columns of a list are shown, in which order, with or without a head."""

from typing import Final, LiteralString

import psycopg
import pytest

from delta_cli import Client
from delta_cli.cli.records import resource_record
from delta_cli.cli.view import View
from delta_cli.engine.store import listing
from delta_cli.engine.store.read import ResourceFilter
from tests.cli.conftest import Here, Inform

#: Rows that differ in each column, or lack a value of it.
SEVERAL: Final[LiteralString] = """
insert into delta_resource (
    namespace, kind, object_id, state, generation, synced_generation, term, attempt, max_attempts,
    sync_count, priority, due_at, lease_until, worker_id, created_at, updated_at, attempted_at,
    synced_at, external_created_at, object, hash
) values
    ('b', 'k2', 'Zoë', 'synced', 3, 3, 9, 0, 10, 7, 2, null, null, null, '2026-01-03', '2026-01-02',
     '2026-01-01', '2026-01-05', null, '{}', '\\x03'),
    ('a', 'k-1', 'zoe', 'scheduled', 10, null, 10, 0, 9, 0, 1, '2026-01-02', null, null,
     '2026-01-01', '2026-01-01', null, null, '2026-01-02', '{}', '\\x02'),
    ('c', 'K1', '_', 'pending', 2, 1, 8, 2, 11, 6, 4, null, '2026-01-09', 12, '2026-01-02',
     '2026-01-04', '2026-01-03', '2026-01-01', '2026-01-01', '{}', '\\x01'),
    ('a', 'k1', 'a b', 'pending', 2, 1, 8, 10, 11, 6, 4, null, 'infinity', 9, '2026-01-02',
     '2026-01-04', '2026-01-04', '2026-01-02', '2026-01-01', '{}', '\\x04')
"""


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


def test_a_list_is_put_in_order_before_it_is_cut(quick: Here, inform: Inform) -> None:
    inform("e", "b", "d", "a", "c")
    words = ("list", "item", "--limit", "3", "--columns", "id", "-o", "csv", "--no-header")
    lowest = quick(*words).expect(0).out.split()
    done = quick(*words, "--sort=-id").expect(0)
    highest = done.out.split()
    assert lowest == sorted(lowest, key=int)
    assert highest == sorted(highest, key=int, reverse=True)
    assert len({*lowest, *highest}) == 5
    assert "note: there are more: raise --limit, or see all with --limit 0" in done.err
    names = quick("list", "--limit", "2", "--sort", "object_id", "-o", "json").expect(0).json()
    assert [one["object_id"] for one in names] == ["a", "b"]
    page = quick(*words, "--sort", "id", "--after", lowest[-1]).expect(0)
    assert page.out.split() == highest[1::-1]


def test_a_list_that_is_cut_before_it_is_put_in_order_says_so(quick: Here, inform: Inform) -> None:
    inform("a", "b")
    done = quick("list", "--limit", "1", "--sort=-object").expect(0)
    assert "note: there are more: only these 1 are in the order of object" in done.err
    rows = quick("list", "--limit", "0", "--sort=-object", "-o", "json").expect(0).json()
    assert [row["object_id"] for row in rows] == ["b", "a"]


async def test_the_database_orders_as_a_list_does(dsn: str) -> None:
    """In both directions, with nulls last and equals by their ids, whatever the column holds."""
    with psycopg.connect(dsn, options="-c search_path=delta") as connection:
        connection.execute(SEVERAL)
    async with Client(dsn) as client, client.database.connection() as connection:
        records = [resource_record(row) async for row in client.resources()]
        assert len(records) == 4
        for column in listing.SORTABLE:
            for descending in (False, True):
                rows = await listing.first_by(
                    connection, ResourceFilter(), column, descending=descending, limit=None
                )
                view = View(sort=f"-{column}" if descending else column)
                expected = [record["id"] for record in view.ordered(records)]
                assert [row.id for row in rows] == expected, view


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
