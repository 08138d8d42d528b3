"""Tables whose rows come one by one: fitted to the terminal, and as they are in a pipe."""

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delta_cli.cli.streamed_table import NO_NARROWING, TIME_OF_DAY, Layout, Narrowing, layout_for
from delta_cli.cli.widths import width_of
from tests.support.command_line import CommandLine

AT = datetime(2026, 5, 1, 9, 8, 7, tzinfo=UTC)
WIDTHS = {"at": 20, "kind": 8, "name": 16, "state": 8, "error": 0}
NARROWING = Narrowing(giving_way=("at", "kind"), narrowed={"at": TIME_OF_DAY})
ERROR = "the server at the other end of the wire has said nothing for a long time"


def fitted(width: int, narrowing: Narrowing = NARROWING) -> Layout:
    layout = layout_for(WIDTHS, narrowing, width)
    assert layout is not None
    return layout


def lines_of(layout: Layout, **values: Any) -> list[str]:
    record = {"at": AT, "kind": "user", "name": "bob", "state": "failed", "error": None}
    return layout.row(record | values, {}).split("\n")


def test_columns_give_way_in_their_order() -> None:
    assert fitted(58).head() == "at                    kind      name              state"
    assert fitted(57).head() == "at         kind      name              state     error"
    assert lines_of(fitted(57)) == ["09:08:07Z  user      bob               failed"]
    assert fitted(46).head() == "at         name              state     error"


def test_a_terminal_too_narrow_for_columns_that_were_chosen_cuts_the_widest() -> None:
    layout = fitted(50, NO_NARROWING)
    assert list(layout.columns) == ["at", "kind", "name", "state"]
    assert sum(layout.columns.values()) == 50 - 6
    assert layout_for(WIDTHS, NO_NARROWING, 39) is None
    assert layout_for(dict.fromkeys("abcdefgh", 9), NO_NARROWING, 60) is None


def test_a_text_stands_beside_its_row_where_it_fits_and_else_below() -> None:
    layout = fitted(80)
    beside = "2026-05-01 09:08:07Z  user      bob               failed"
    assert lines_of(layout, error="timed out") == [f"{beside}    timed out"]
    assert lines_of(layout, error=ERROR) == [
        beside,
        f"{' ' * 20}the server at the other end of the wire has said nothing for",
        f"{' ' * 20}a long time",
    ]


def test_a_longer_value_takes_the_room_of_its_row_and_the_next_columns_fall_in_again() -> None:
    line = lines_of(fitted(60), kind="user-group")[0]
    assert line == "2026-05-01 09:08:07Z  user-group  bob             failed"
    line = lines_of(fitted(60), name="x" * 99)[0]
    assert line == f"2026-05-01 09:08:07Z  user      {'x' * 19}…  failed"


@given(
    width=st.integers(40, 200),
    texts=st.lists(st.text(max_size=60), min_size=4, max_size=4),
    narrowing=st.sampled_from([NARROWING, NO_NARROWING]),
)
def test_no_line_is_longer_than_the_terminal_is_wide(
    width: int, texts: list[str], narrowing: Narrowing
) -> None:
    layout = fitted(width, narrowing)
    values = dict(zip(("kind", "name", "state", "error"), texts, strict=True))
    assert all(width_of(line) <= width for line in lines_of(layout, **values))
    assert width_of(layout.head()) <= width


@pytest.fixture
def long_ids(delta: CommandLine, dsn: str) -> CommandLine:
    """`delta` with a log of two events, whose values are longer than their columns."""
    log_two(dsn)
    return delta


def log_two(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into delta.delta_event (category, resource_id, namespace, kind, object_id,"
            " state, attempt, max_attempts, generation, sync_count, error)"
            " select 'object_failed', 1, 'production-eu', 'customer-account', repeat('日', 99),"
            " 'failed', 1, 10, 1, 1, %s from generate_series(1, 2)",
            [ERROR],
        )


WORDS = ("subscribe", "--since", "0", "--no-follow")


@pytest.mark.parametrize(
    ("columns", "head"),
    [
        (80, "at category kind object_id state"),
        (100, "at category namespace kind object_id state attempt"),
        (120, "id at category namespace kind object_id state attempt"),
        (160, "id at category namespace kind object_id state attempt duration_ms actor error"),
    ],
)
def test_events_fit_the_terminal(long_ids: CommandLine, columns: int, head: str) -> None:
    code, shown = long_ids.on_terminal(*WORDS, columns=columns, environ={"NO_COLOR": "1"})
    lines = shown.splitlines()
    assert (code, lines[0].split()) == (0, head.split())
    assert all(width_of(line) <= columns for line in lines)
    assert [line.split()[0] for line in lines].count("the") == 2  # each error below its event


def test_columns_that_were_chosen_are_all_there(long_ids: CommandLine) -> None:
    chosen = ("--columns", "at,duration_ms,actor,object_id,error")
    _, shown = long_ids.on_terminal(*WORDS, *chosen, environ={"NO_COLOR": "1"})
    assert shown.splitlines()[0].split() == [*chosen[1].split(",")]


def test_a_pipe_has_every_column_and_nothing_is_cut(long_ids: CommandLine) -> None:
    head, *rows = long_ids(*WORDS, environ={"COLUMNS": "80"}).expect(0).out.splitlines()
    assert head.split()[-3:] == ["duration_ms", "actor", "error"]
    assert [row.endswith(ERROR) and "日" * 99 in row for row in rows] == [True, True]


def test_the_head_comes_again_when_the_terminal_gets_other_columns(
    long_ids: CommandLine, dsn: str
) -> None:
    words = ("subscribe", "--since", "0")
    with long_ids.terminal(*words, columns=None, environ={"COLUMNS": None}) as terminal:
        terminal.resize(80)
        narrow = terminal.until("state\n")
        narrow = terminal.until(" time\n", after=terminal.until(" time\n", after=narrow))
        terminal.resize(120)
        log_two(dsn)
        wide = terminal.until("state      attempt\n", after=narrow)
        terminal.until(" time\n", after=terminal.until(" time\n", after=wide))
        terminal.type("\x03")
        code, shown = terminal.end()
    assert code == 130
    assert shown.count("object_id") == 2
