"""Who mistypes a kind or a state is told the nearest and what there is, as JSON under -o json."""

import json

import pytest

from tests.cli.conftest import Here, Inform

OF_A_KIND = [
    ("get", "itme", "a"),
    ("retry", "itme", "a"),
    ("invalidate", "itme", "--all", "--yes"),
    ("delete", "itme", "a", "--yes"),
    ("cancel", "itme", "a"),
    ("inform", "itme"),
    ("informs", "itme"),
    ("list", "itme"),
    ("pause", "kind", "itme"),
]


@pytest.mark.parametrize("words", OF_A_KIND, ids=lambda words: words[0])
def test_a_mistyped_kind_is_told_with_the_nearest(
    quick: Here, inform: Inform, words: tuple[str, ...]
) -> None:
    inform("a")
    done = quick(*words).expect(5)
    assert done.out == ""
    assert "error: there is no kind 'itme'; did you mean 'item'?" in done.err
    assert "hint: kinds: item" in done.err
    told = json.loads(quick(*words, "-o", "json").expect(5).err)
    assert (told["error"], told["exit_code"]) == ("NotFound", 5)
    assert told["message"] == "there is no kind 'itme'; did you mean 'item'?"
    assert told["hint"] == "kinds: item"


OF_A_NAMESPACE = [
    ("get", "item", "b"),
    ("cancel", "item", "b"),
    ("retry", "item", "--all", "--yes"),
    ("delete", "item", "b", "--yes"),
    ("list", "item"),
]


@pytest.mark.parametrize("words", OF_A_NAMESPACE, ids=lambda words: words[0])
def test_a_mistyped_namespace_is_told_with_the_nearest(
    quick: Here, inform: Inform, words: tuple[str, ...]
) -> None:
    inform("a")
    done = quick(*words, "--namespace", "defautl").expect(5)
    assert done.out == ""
    assert "error: there is no namespace 'defautl'; did you mean 'default'?" in done.err
    assert "hint: namespaces: default" in done.err


def test_a_list_that_finds_nothing_by_known_names_is_no_error(quick: Here, inform: Inform) -> None:
    inform("a")
    assert quick("list", "item", "--tag", "unknown").expect(0).err == ""


def test_a_subscription_to_mistyped_names_says_so(quick: Here, inform: Inform) -> None:
    inform("a")
    words = ("subscribe", "--since", "0", "--no-follow", "--kind", "item")
    assert "there is no" not in quick(*words, "--namespace", "default").expect(0).err
    done = quick(*words, "--kind", "itme", "--namespace", "eu").expect(0)
    assert "note: there is no kind 'itme'; did you mean 'item'?" in done.err
    assert "note: there is no namespace 'eu'; namespaces: default" in done.err


@pytest.mark.parametrize(
    "words",
    [
        ("list", "--tag", "bad tag"),
        ("retry", "item", "--all", "--yes", "--tag", "bad tag"),
        *((*words, "--namespace", "Bad NS") for words in (*OF_A_NAMESPACE, ("list",))),
        ("subscribe", "--namespace", "Bad NS"),
    ],
)
def test_a_name_that_nothing_can_have_is_a_mistake_of_usage(
    quick: Here, inform: Inform, words: tuple[str, ...]
) -> None:
    inform("a")
    done = quick(*words).expect(2)
    assert done.out == ""
    assert f"{words[-2].strip('-')} {words[-1]!r} is not valid" in done.err


def test_the_default_namespace_is_always_there(quick: Here) -> None:
    assert quick("list", "-n", "default", "-o", "json").expect(0).err == ""


def test_a_kind_that_is_known_may_have_no_rows(quick: Here, inform: Inform) -> None:
    inform("a")
    assert quick("list", "item", "--state", "synced", "-o", "json").expect(0).json() == []
    assert "there is no resource item/b" in quick("get", "item", "b").expect(5).err


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (("list", "--state", "faild"), "failed"),
        (("retry", "item", "--all", "--state", "degarded"), "degraded"),
        (("list", "-o", "jsn"), "json"),
        (("pause", "kidn", "item"), "kind"),
        (("help", "exitcodes"), "exit-codes"),
    ],
)
def test_a_mistyped_choice_is_told_with_the_nearest(
    quick: Here, words: tuple[str, ...], nearest: str
) -> None:
    assert f"did you mean '{nearest}'?" in quick(*words).expect(2).err


def test_a_mistyped_state_is_json_too(quick: Here) -> None:
    told = json.loads(quick("list", "--state", "faild", "-o", "json").expect(2).err)
    assert told["error"] == "UsageError"
    assert "did you mean 'failed'?" in told["message"]
