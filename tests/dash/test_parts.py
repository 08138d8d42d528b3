from datetime import UTC, datetime, timedelta

import pytest

from delta_cli.dash.actions import Plan
from delta_cli.dash.counting import Counts
from delta_cli.dash.filters import parse
from delta_cli.dash.glyphs import UNICODE, bars
from delta_cli.dash.trends import SYNCED, Trends
from delta_cli.dash.words import age, fit, shown
from delta_cli.engine.errors import ConfigError
from delta_cli.engine.model import Event, EventCategory
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


def _event(at: datetime) -> Event:
    return Event(
        *(1, at, EventCategory.OBJECT_SYNCED, 1, "default", "item", "a", ResourceState.SYNCED),
        *(1, 10, 1, 1, None, 5.0, None, None),
    )
