"""Invalidate, retry and delete: by id and by filter, their questions and refusals."""

import getpass

import pytest

from tests.cli.conftest import Here, Inform, Rows
from tests.support.command_line import CommandLine


@pytest.fixture
def drained(shop: CommandLine, inform: Inform) -> CommandLine:
    """`delta` where a and b are synced, bad is degraded and failing has failed."""
    inform("a", "b", bad="bad", failing="failing")
    shop("run", "--drain").expect(8)
    return shop


@pytest.fixture
def worked(drained: CommandLine, quick: Here) -> Here:
    """The same, to be run within this process."""
    return quick


def states(rows: Rows) -> dict[str, str]:
    return {object_id: row["state"] for object_id, row in rows().items()}


HERE = "namespace 'default'"
INVALIDATE_TAKES = "invalidate takes resources that are synced"
RETRY_TAKES = "retry takes resources that are failed, degraded, deleted, expired, scheduled"
WORKED = {"a": "synced", "b": "synced", "bad": "degraded", "failing": "failed"}


def test_named_resources_are_repaired(worked: Here, rows: Rows) -> None:
    done = worked("invalidate", "item", "a", "-o", "json").expect(0)
    assert done.json() == [
        {
            "namespace": "default",
            "kind": "item",
            "object_id": "a",
            "was": "synced",
            "state": "expired",
            "outcome": "applied",
        }
    ]
    worked("retry", "item", "bad", "failing").expect(0)
    worked("delete", "item", "b", "--yes").expect(0)
    assert states(rows) == {
        "a": "expired",
        "b": "deleted",
        "bad": "scheduled",
        "failing": "scheduled",
    }


def test_a_named_resource_in_another_state_is_told_and_exits_6(worked: Here, rows: Rows) -> None:
    done = worked("invalidate", "item", "a", "bad", "-o", "json").expect(6)
    assert [(row["object_id"], row["outcome"], row["state"]) for row in done.json()] == [
        ("a", "applied", "expired"),
        ("bad", "refused", "degraded"),
    ]
    assert "takes resources that are synced; item/bad is degraded" in done.err
    assert states(rows) == {**WORKED, "a": "expired"}


@pytest.mark.parametrize(
    ("words", "code", "told", "hint"),
    [
        (
            ("invalidate", "item", "failing"),
            6,
            f"{INVALIDATE_TAKES}; item/failing is failed",
            "retry takes one that is failed",
        ),
        (
            ("retry", "item", "a", "b"),
            6,
            f"{RETRY_TAKES}; item/a is synced, item/b is synced",
            "invalidate takes one that is synced",
        ),
        (
            ("retry", "item", "nobody"),
            5,
            f"there is no resource item/nobody in {HERE}",
            "see what there is with: delta list item",
        ),
        (
            ("invalidate", "item", "no", "bad"),
            5,
            f"there is no resource item/no in {HERE}; {INVALIDATE_TAKES}; item/bad is degraded",
            "see what there is with: delta list item",
        ),
    ],
)
def test_what_was_named_and_not_done_ends_with_an_error_and_a_hint(
    worked: Here, words: tuple[str, ...], code: int, told: str, hint: str
) -> None:
    done = worked(*words).expect(code)
    assert done.err.splitlines()[-2:] == [f"error: {told}", f"hint: {hint}"]


def test_a_named_resource_that_is_missing_exits_5(worked: Here, rows: Rows) -> None:
    done = worked("invalidate", "item", "nobody", "a", "-o", "json").expect(5)
    assert [(row["object_id"], row["outcome"]) for row in done.json()] == [
        ("nobody", "missing"),
        ("a", "applied"),
    ]
    worked("invalidate", "item", "b", "--namespace", "eu").expect(5)
    assert states(rows) == {**WORKED, "a": "expired"}


def test_a_delete_of_what_is_deleted_changes_nothing_and_is_no_error(
    worked: Here, rows: Rows
) -> None:
    words = ("delete", "item", "a", "b", "--yes", "-o", "json")
    worked("delete", "item", "a", "--yes").expect(0)
    before = rows()["a"]
    done = worked(*words).expect(0)
    assert [
        (row["object_id"], row["was"], row["state"], row["outcome"]) for row in done.json()
    ] == [
        ("a", "deleted", "deleted", "unchanged"),
        ("b", "synced", "deleted", "applied"),
    ]
    assert "1 applied, 0 refused, 0 missing, 1 unchanged" in done.err
    assert rows()["a"] == before
    done = worked("delete", "item", "--all", "--state", "deleted", "--yes", "-o", "json").expect(0)
    assert [row["outcome"] for row in done.json()] == ["unchanged", "unchanged"]


def test_all_of_a_kind_that_may_be_are_repaired(worked: Here, rows: Rows) -> None:
    done = worked("retry", "item", "--all", "--yes", "-o", "json").expect(0)
    assert [row["object_id"] for row in done.json()] == ["bad", "failing"]
    worked("invalidate", "item", "--all", "--yes").expect(0)
    assert states(rows) == {
        "a": "expired",
        "b": "expired",
        "bad": "scheduled",
        "failing": "scheduled",
    }


def test_all_is_narrowed_by_filters(worked: Here, rows: Rows) -> None:
    worked("retry", "item", "--all", "--state", "failed", "--yes").expect(0)
    worked("delete", "item", "--all", "--tag", "vip", "--yes").expect(0)
    worked("delete", "item", "--all", "--namespace", "eu", "--yes").expect(5)
    worked("delete", "other", "--all", "--yes").expect(5)
    assert states(rows) == {**WORKED, "failing": "scheduled"}


@pytest.mark.parametrize(
    "words", [("delete", "item", "a"), ("delete", "item", "--all"), ("retry", "item", "--all")]
)
def test_without_a_terminal_what_asks_is_refused(
    drained: CommandLine, rows: Rows, words: tuple[str, ...]
) -> None:
    done = drained(*words, stdin="y\n").expect(2)
    assert "nobody is here to answer" in done.err
    assert "--yes" in done.err
    assert done.out == ""
    assert states(rows) == WORKED


def test_nobody_is_asked_about_an_id_that_is_not_there(worked: Here) -> None:
    done = worked("delete", "item", "nobody").expect(5)
    assert "missing" in done.out
    assert "nobody is here to answer" not in done.err


def test_a_dry_run_shows_and_changes_nothing(worked: Here, rows: Rows) -> None:
    done = worked("delete", "item", "--all", "--dry-run", "-o", "json").expect(0)
    assert len(done.json()) == 4
    assert "would be" in done.err
    assert states(rows) == WORKED


def test_the_question_is_asked_on_the_terminal(drained: CommandLine, rows: Rows) -> None:
    code, shown = drained.on_terminal("delete", "item", "a", typed="n\n")
    assert (code, "Delete 1 of kind 'item' (a) in namespace 'default' of" in shown) == (1, True)
    assert "nothing was changed" in shown
    assert states(rows) == WORKED
    code, shown = drained.on_terminal("retry", "item", "--all", typed="y\n")
    assert (code, "Retry 2 of kind 'item' (bad, failing) in every namespace of" in shown) == (
        0,
        True,
    )
    assert states(rows) == {**WORKED, "bad": "scheduled", "failing": "scheduled"}


def test_the_actor_is_on_the_event(worked: Here) -> None:
    worked("invalidate", "item", "a").expect(0)
    worked("invalidate", "item", "b", "--actor", "night shift").expect(0)
    words = ("subscribe", "--since", "0", "--no-follow", "--category", "object_invalidated")
    events = worked(*words, "-o", "jsonl").expect(0).lines()
    assert [event["actor"] for event in events] == [getpass.getuser(), "night shift"]
