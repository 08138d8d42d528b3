import json
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest

from delta_cli.cli.indented_json import indented_json
from delta_cli.cli.output import to_json
from delta_cli.cli.tables import TableNarrowing, cell, dropped, fit
from delta_cli.cli.text import escape_json, harmless, harmless_lines
from delta_cli.cli.widths import cut_to_width, width_of, wrap_to_width
from delta_cli.engine.states import ResourceState

DANGEROUS = ["\x1b", "\x07", "\x9b", "\x7f", "\u202e", "\u2066", "\u200f", "\ufeff", "\u2028"]


@pytest.mark.parametrize("character", [*DANGEROUS, "\n", "\r", "\t"])
def test_dangerous_characters_are_shown_as_escapes(character: str) -> None:
    shown = harmless(f"a{character}b")
    assert shown.isprintable()
    assert shown.startswith("a\\")


@pytest.mark.parametrize("text", ["plain", "naïve", "日本語", "[bold]red[/bold]", "", "a b"])
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


def test_several_lines_stay_lines() -> None:
    assert harmless_lines("one\ntwo\x1b") == "one\ntwo\\x1b"


@pytest.mark.parametrize("character", [*DANGEROUS, "\U000e0041"])
def test_json_has_no_dangerous_character_and_the_same_value(character: str) -> None:
    value = {character: [f"日{character}"]}
    text = escape_json(json.dumps(value, ensure_ascii=False))
    assert character not in text
    assert "日" in text
    assert json.loads(text) == value


def test_a_cell_is_one_line_and_not_too_long() -> None:
    assert cell("a\nb") == "a\\nb"
    assert len(cell("x" * 10_000)) == 254
    assert cell("x" * 254) == "x" * 254


def test_numbers_like_text_stay_text() -> None:
    assert [cell(value) for value in ("1e5", "0x10", "007", None, True, 1.5, 0.0)] == [
        *("1e5", "0x10", "007", "", "yes", "1.5", "0")
    ]


def test_markdown_cells_cannot_break_out_of_their_table() -> None:
    assert cell("a|b`<x>[y](z)", markdown=True) == "a\\|b\\`\\<x\\>\\[y\\](z)"


def test_wide_characters_count_as_wide() -> None:
    assert width_of("日本") == 4
    assert cut_to_width("日本語日本語", 7) == "日本語…"


def test_the_widest_columns_are_cut_to_fit_the_terminal() -> None:
    table = fit(["id", "error"], [["a", "x" * 100], ["b", "y"]], 40)
    assert table == (["id", "error"], [["a", "x" * 35 + "…"], ["b", "y"]])


def test_heads_are_cut_where_cells_alone_do_not_give_way_enough() -> None:
    table = fit(["a long head", "another head", "error"], [["a", "b", "x" * 9]], 30)
    assert table is not None
    heads, cells = table
    assert sum(map(width_of, heads)) + 4 <= 30
    assert cells[0][:2] == ["a", "b"]


def test_a_narrow_terminal_does_without_what_may_be_dropped() -> None:
    columns, cells = dropped(["id", "at", "error"], [["a", "x" * 30, "y" * 30]], 40, ["at", "id"])
    assert columns == ["id", "error"]
    assert cells == [["a", "y" * 30]]


def test_what_says_nothing_goes_before_what_does() -> None:
    rows = [{"id": 1, "paused": False, "failures": 0, "due": 0, "error": None}]
    order = TableNarrowing(idle=("paused", "failures", "error"), droppable=("id", "failures")).order
    assert order(rows) == ["paused", "failures", "error", "id"]
    assert order([*rows, {"paused": True, "failures": 2}]) == ["error", "id", "failures"]


def test_a_text_that_is_cut_anyway_makes_nothing_else_go() -> None:
    columns, _ = dropped(["id", "at", "error"], [["a", "x" * 10, "y" * 99]], 40, ["at"], ["error"])
    assert columns == ["id", "at", "error"]


def test_a_time_is_never_cut() -> None:
    time = "2026-01-01 08:00:00Z"
    cells = [["a" * 30, time]]
    assert fit(["id", "at"], cells, 40, [], ["at"]) == (["id", "at"], [["a" * 17 + "…", time]])
    assert fit(["id", "at", "to"], [["a", time, time]], 40, [], ["at", "to"]) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" a", "\\x20a"),
        ("a  ", "a\\x20\\x20"),
        ("a b", "a b"),
        (" ", "\\x20"),
        ("\u3000a", "\\u3000a"),
    ],
)
def test_spaces_at_the_ends_of_an_id_are_shown(text: str, shown: str) -> None:
    assert cell(text) == shown


def test_text_that_matters_takes_more_lines_instead_of_being_cut() -> None:
    table = fit(["name", "fix"], [["a", "start more workers, or fewer"]], 26, ["fix"])
    assert table == (["name", "fix"], [["a", "start more workers,\nor fewer"]])
    assert wrap_to_width("日本語日本語 abc", 7).splitlines() == ["日本語", "日本語", "abc"]
    assert wrap_to_width("x" * 12, 5).splitlines() == ["xxxxx", "xxxxx", "xx"]


def test_what_no_terminal_can_show_side_by_side_does_not_fit() -> None:
    assert fit([f"column-{number}" for number in range(9)], [["value"] * 9], 40) is None
    assert fit(["name", "fix"], [["a" * 30, "b " * 20]], 40, ["fix"]) is not None
    assert fit(["name", "at", "fix"], [["a" * 30, "c" * 20, "b " * 20]], 40, ["fix"]) is None


@pytest.mark.parametrize(
    "value",
    [
        *(
            [],
            {},
            [[]],
            [{}],
            {"a": {}},
            None,
            True,
            False,
            0,
            -1,
            10**30,
            1.5,
            1e300,
            float("nan"),
        ),
        *("", '日\x1b"\\', [float("inf"), -float("inf")], ResourceState.SYNCED, (1, (2,))),
        {"日": [1, {"b": [None, True, {"c": "x\u2028"}]}], "": {"d": {"e": [[], {}, "f"]}}},
        {"at": datetime(2026, 1, 1, tzinfo=UTC), "hash": b"\x0a", "of": MappingProxyType({"a": 1})},
    ],
)
def test_indented_json_is_laid_out_as_the_standard_library_does(value: Any) -> None:
    expected = json.dumps(value, indent=2, ensure_ascii=False, default=to_json)
    assert indented_json(value, to_json) == expected
