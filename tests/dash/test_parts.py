from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len

from delta_cli.dash.actions import Plan, plan_repair
from delta_cli.dash.admission import Admission
from delta_cli.dash.counting import Counts
from delta_cli.dash.diffing import aligned
from delta_cli.dash.event_lines import Line as LogLine
from delta_cli.dash.event_lines import Longest, draw_line, lines_of
from delta_cli.dash.filters import parse
from delta_cli.dash.glyphs import UNICODE, bars
from delta_cli.dash.history import History
from delta_cli.dash.screens.controller_rows import controller_row
from delta_cli.dash.screens.resource_rows import columns
from delta_cli.dash.snapshot import Alert, Snapshot, alerts, ended_runs
from delta_cli.dash.tones import Piece, Tone
from delta_cli.dash.trends import SYNCED, Trends
from delta_cli.dash.widgets.columns import Column, fit_columns
from delta_cli.dash.widgets.rows import Row, text_widths
from delta_cli.dash.words import age, chopped, fit, fit_ends, short_count, shown
from delta_cli.engine.errors import ConfigError
from delta_cli.engine.model.event import Event, EventCategory
from delta_cli.engine.model.fleet import ControllerRow
from delta_cli.engine.model.inform import InformCounts, InformRun, InformRunState
from delta_cli.engine.states import ResourceState
from delta_cli.engine.store.overview import NO_END, Chunk, Line

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ITEM = ("item", "default", ResourceState.SYNCED)


def line(object_id: str, kind: str = "item", namespace: str = "default") -> Line:
    state = ResourceState.SYNCED
    return Line(
        *(1, namespace, kind, object_id, state, 1, 1, 10),
        *(None, NOW, NOW, None, False, None, None),
    )


def test_a_filter_reads_names_lists_and_text() -> None:
    wanted = parse("kind:card s:failed,deg ns:eu worker:7 tag:vip crd_9").wanted
    assert (wanted.kind, wanted.namespace, wanted.worker_id) == ("card", "eu", 7)
    assert wanted.states == [ResourceState.FAILED, ResourceState.DEGRADED]
    assert (wanted.tags, wanted.text) == (["vip"], "crd_9")
    assert parse("http://x").wanted.text == "http://x"


@pytest.mark.parametrize("text", ["state:no", "state:s", "worker:x", "kind:"])
def test_a_wrong_word_of_a_filter_is_named(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)


def test_ages_are_short() -> None:
    given = (None, 0.44, 9.99, 41, 119.9, 3_600, 90_000, -5)
    assert [age(one) for one in given] == [
        *("-", "0.4s", "10s", "41s", "1m59", "1h00", "1d", "-5.0s")
    ]


def test_text_is_cut_by_the_columns_it_takes() -> None:
    assert fit("宽" * 10, 5, cut="~") == "宽宽~"
    assert fit("short", 5, cut="~") == "short"
    assert shown("a\x1b[2J\u202e") == "a\\x1b[2J\\u202e"


def test_a_name_is_cut_in_its_middle() -> None:
    assert fit_ends("tenants/acme/users/0042", 16, cut="~") == "tenants/ac~/0042"
    assert fit_ends("宽" * 20, 16, cut="~") == "宽宽宽宽宽~宽宽"
    assert fit_ends("x" * 10_000 + "end", 12, cut="~") == "xxxxxxx~xend"
    assert fit_ends("tenants/acme", 8, cut="~") == "tenants~"
    assert fit_ends("short", 5, cut="~") == "short"


def test_bars_grow_with_their_values() -> None:
    assert bars([0, 1, 100, 50], UNICODE.bars) == "▁▂█▄"
    assert bars([0, 0], UNICODE.bars) == "▁▁"


def test_a_large_table_is_counted_in_stretches_and_stays_right() -> None:
    counts = Counts(look=10)
    rows = dict.fromkeys(range(1, 36), ITEM)

    def count_one() -> None:
        after, until = counts.next_stretch
        ids = sorted(number for number in rows if after < number <= until)[:10]
        counts.take(Chunk({ITEM: len(ids)} if ids else {}, max(ids, default=None)), 0.0)

    for _ in range(4):
        assert not counts.is_complete
        count_one()
    assert counts.is_complete and counts.totals == {ITEM: 35}
    rows |= dict.fromkeys(range(36, 61), ITEM)
    for number in range(1, 20):
        del rows[number]
    for _ in range(12):
        count_one()
    assert counts.totals == {ITEM: len(rows)}
    assert counts.next_stretch[1] == NO_END or counts.stretches > 1


def test_trends_forget_what_is_older_than_a_quarter_hour() -> None:
    trends = Trends()
    for minute in range(40):
        trends.add([_event(NOW + timedelta(minutes=minute))] * 2)
    last = NOW + timedelta(minutes=39)
    assert trends.minutes(last, (SYNCED,)) == [2] * 15
    assert trends.minutes(last, kind="other") == [0] * 15
    assert trends.rate(last) == 0.2


def test_a_plan_says_the_equal_command_lines() -> None:
    plan = Plan("retry", lines=[line("a b"), line("c", namespace="eu"), line("d")])
    assert plan.commands == ["delta retry item 'a b' d", "delta retry item c --namespace eu"]
    assert not plan.is_typed
    assert Plan("delete", lines=plan.lines).is_typed
    assert Plan("retry", lines=[line(str(number)) for number in range(51)]).is_typed


def test_what_is_deleted_already_is_not_called_refused() -> None:
    gone, there = replace(line("a"), state=ResourceState.DELETED), line("b")
    assert plan_repair("delete", [gone]).why_not == "what was chosen is deleted already"
    assert plan_repair("delete", [gone, there]).why_not == ""
    assert plan_repair("invalidate", [gone]).why_not == ""


REFUSED = "InvalidObject: 1 of 3 objects refused, so the watermark stays; the first: ..."


def controller(kind: str) -> ControllerRow:
    return ControllerRow(kind, 60.0, None, NOW, 0, 1, None, None, NOW, paused=False)


def inform_run(number: int, kind: str, *, refused: int = 0, ended: bool = True) -> InformRun:
    state = InformRunState.SUCCEEDED if ended else InformRunState.RUNNING
    counts = InformCounts(seen=3, unchanged=3 - refused, refused=refused)
    return InformRun(
        *(number, kind, state, None, None, {}, None, False, "inform", 1, counts),
        *(REFUSED if refused else None, NOW, NOW, NOW if ended else None),
    )


def test_an_informer_whose_last_run_had_objects_refused_is_told_with_the_reason() -> None:
    snapshot = Snapshot(
        at=NOW,
        controllers=(controller("item"), controller("mended")),
        runs=(
            inform_run(5, "item", ended=False),
            inform_run(4, "mended"),
            inform_run(3, "item", refused=1),
            inform_run(2, "mended", refused=1),
            inform_run(1, "item"),
        ),
    )
    ended = ended_runs(snapshot)
    item, mended = (
        controller_row(one, ended.get(one.kind), snapshot, NOW) for one in snapshot.controllers
    )
    assert (item.sign, item.cells["state"]) == ("!", ("refusing", Tone.WARN))
    assert item.cells["error"] == (REFUSED, Tone.WARN)
    assert (mended.sign, mended.cells["state"]) == (" ", ("well", Tone.OK))
    told = Alert("controllers", "item", "item: 1 of 3 objects refused")
    assert [one for one in alerts(snapshot) if one.tab == "controllers"] == [told]


def _event(at: datetime) -> Event:
    return Event(
        *(1, at, EventCategory.OBJECT_SYNCED, 1, "default", "item", "a", ResourceState.SYNCED),
        *(1, 10, 1, 1, None, 5.0, None, None),
    )


def test_columns_share_what_is_to_spare_up_to_their_most_and_give_way_in_their_order() -> None:
    columns = (
        Column("name", "NAME", 5, most=8),
        Column("error", "ERROR", 6, most=30, drop=1),
        Column("extra", "EXTRA", 4, drop=2),
    )

    def fitted(room: int) -> list[tuple[str, int]]:
        return [(column.key, width) for column, width in fit_columns(columns, room, {})]

    assert fitted(18) == [("name", 5), ("error", 6), ("extra", 4)]
    assert fitted(17) == [("name", 7), ("error", 8)]
    assert fitted(12) == [("name", 8)]
    assert fitted(40) == [("name", 8), ("error", 25), ("extra", 4)]
    assert fitted(100) == [("name", 8), ("error", 30), ("extra", 4)]


#: The room of the list of resources on terminals of 80, 100, 120, 160 and 240 columns.
ROOMS = (76, 51, 62, 92, 140)
UUID = 36


def _widths(room: int, kind: int, object_id: int, error: int) -> dict[str, int]:
    texts = {"kind": kind, "namespace": len("default"), "object_id": object_id, "error": error}
    fitted = fit_columns(columns(parse("")), room, texts)
    assert sum(width + 1 for _, width in fitted) <= room
    return {column.key: width for column, width in fitted}


@pytest.mark.parametrize("room", ROOMS)
def test_ids_have_room_before_errors_and_before_what_tells_less(room: int) -> None:
    widths = _widths(room, kind=4, object_id=UUID, error=300)
    assert {"state", "attempt", "updated", "error"} <= set(widths)
    if widths["object_id"] < UUID:
        assert widths["error"] <= 12 and not {"due", "synced", "worker"} & set(widths)
    if room >= 92:
        assert widths["object_id"] == UUID and "kind" in widths


@pytest.mark.parametrize("room", ROOMS)
def test_short_texts_leave_their_room_to_errors(room: int) -> None:
    widths = _widths(room, kind=4, object_id=8, error=300)
    taken = sum(width + 1 for key, width in widths.items() if key != "error")
    assert widths["object_id"] == len("OBJECT ID") + 1
    assert widths["error"] == room - taken - 1


def test_ids_without_end_leave_half_of_what_is_left_to_errors() -> None:
    widths = _widths(240, kind=4, object_id=254, error=300)
    assert widths["object_id"] == 80 and widths["error"] >= 70


def test_columns_are_as_wide_as_the_texts_that_are_shown() -> None:
    rows = [
        Row("1", dict, values={"name": "宽\n", "error": None, "count": 7}),
        Row("2", dict, values={"name": "abc", "error": "x" * 9, "count": 7}),
    ]
    assert text_widths(rows, ["name", "error", "count", "other"]) == {"name": 4, "error": 9}
    assert text_widths(rows[:1], ["error"]) == {"error": len("-")}


def test_places_are_kept_as_a_browser_keeps_them() -> None:
    history = History()
    for place in ("a", "b", "b", "c"):
        history.visit(place)
    assert [history.go(-1), history.go(-1), history.go(-1)] == ["b", "a", None]
    history.visit("d")
    assert history.go(1) is None and history.go(-1) == "a"


def test_numbers_are_short_where_room_is() -> None:
    given = (0, 9_999, 12_345, 999_499, 1_234_567, 10**12)
    assert [short_count(one) for one in given] == [
        *("0", "9,999", "12.3k", "999k", "1.2M", ">999G")
    ]
    assert all(len(short_count(7**power)) <= 5 for power in range(20))


def test_text_is_chopped_at_spaces_and_by_columns() -> None:
    assert chopped("one two three", 8) == ["one two", "three"]
    assert chopped("x" * 20, 8) == ["x" * 8, "x" * 8, "x" * 4]
    assert chopped("宽" * 5, 4) == ["宽宽", "宽宽", "宽"]


def test_a_long_error_takes_further_lines_only_where_lines_are_wrapped() -> None:
    event = replace(_event(NOW), error="word " * 40, category=EventCategory.OBJECT_FAILED)
    longest = Longest().over([event])
    assert len(lines_of(event, 80, longest, wraps=False)) == 1
    lines = lines_of(event, 80, longest, wraps=True)
    drawn = ["".join(words for words, _ in _drawn(line)) for line in lines]
    assert " ".join(" ".join(drawn[1:]).split()) == ("word " * 40).strip()
    assert max(map(len, drawn)) <= 80
    assert len(lines_of(replace(event, error="brief"), 120, longest, wraps=True)) == 1


def _drawn(line: LogLine) -> list[Piece]:
    return draw_line(line, 80, Longest().over([line.entry]), UNICODE, wraps=True)


@pytest.mark.parametrize("width", [80, 100, 120, 160, 240])
def test_a_line_of_the_log_has_room_for_the_name_before_the_error(width: int) -> None:
    uuid = "0b9f3c1e-7d1a-4c55-9e0b-1c2d3e4f5a6b"
    event = replace(_event(NOW), object_id=uuid, kind="user", error="word " * 40, worker=1)
    entries = [replace(event, object_id="x", error=None), event]
    longest = Longest().over(entries)
    drawn = [draw_line(LogLine(entry), width, longest, UNICODE, wraps=False) for entry in entries]
    lines = ["".join(words for words, _ in pieces) for pieces in drawn]
    assert (f"user/{uuid}" in lines[1]) is (width >= 120)
    assert "user/0b9f3c1e-7" in lines[1] and "4f5a6b " in lines[1] and "word word" in lines[1]
    assert max(map(cell_len, lines)) <= width
    assert lines[0].index("default") == lines[1].index("default")


def test_a_wrapped_line_leaves_all_room_to_the_name() -> None:
    uuid = "0b9f3c1e-7d1a-4c55-9e0b"
    event = replace(_event(NOW), object_id=uuid, kind="ledger", error="word " * 40)
    lines = lines_of(event, 80, Longest().over([event]), wraps=True)
    assert f"ledger/{uuid}" in "".join(words for words, _ in _drawn(lines[0])) and len(lines) > 2


def test_who_acted_is_cut_where_the_line_ends() -> None:
    event = replace(_event(NOW), actor="somebody-with-a-name-that-is-long")
    line = "".join(words for words, _ in _drawn(LogLine(event)))
    assert len(line) <= 80 and " by somebody" in line
    narrow = draw_line(LogLine(event), 60, Longest().over([event]), UNICODE, wraps=False)
    assert "".join(words for words, _ in narrow).endswith(UNICODE.cut)


def test_two_objects_stand_side_by_side_with_a_sign_where_they_differ() -> None:
    desired, synced = ["{", "a: 1", "b: 2", "}"], ["{", "a: 7", "}"]
    assert aligned(desired, synced, UNICODE) == [
        *(("{", " ", "{"), ("a: 1", "≠", "a: 7"), ("b: 2", "+", ""), ("}", " ", "}"))
    ]


@pytest.mark.parametrize(
    ("headers", "is_from_here"),
    [
        ({"Host": "127.0.0.1:8000"}, True),
        ({"Host": "localhost:8000"}, True),
        ({"Host": "127.0.0.1:8000", "Origin": "http://127.0.0.1:8000"}, True),
        ({"Host": "127.0.0.1:8000", "Origin": "http://localhost:8000"}, False),
        ({"Host": "127.0.0.1:8000", "Origin": "https://elsewhere.com"}, False),
        ({"Host": "127.0.0.1:8000", "Origin": "http://127.0.0.1:9999"}, False),
        ({"Host": "127.0.0.1:8000", "Origin": "null"}, False),
        ({"Host": "elsewhere.com:8000"}, False),
        ({}, False),
    ],
)
def test_a_browser_is_answered_only_for_pages_from_here(
    headers: dict[str, str], is_from_here: bool
) -> None:
    assert Admission(8000).is_from_here(headers) is is_from_here
