"""Each tab at each size: what must be seen is on the screen, and nothing runs over its edge."""

import json
from typing import Any

import pytest

from delta_cli.dash.widgets.keyed_table import KeyedTable
from tests.dash.conftest import Dash, inform
from tests.dash.test_dash import synced
from tests.support.observing import Observer

SIZES = ((80, 24), (100, 30), (120, 40), (160, 50), (240, 60))
ON_ALL = ("LIVE", "? help", "q quit", "alert")
TABS: dict[str, tuple[str, ...]] = {
    "1": ("KIND", "TOTAL", "PEND", "FAIL", "DEGR", "OLDEST", "item", "Workers", "Ticks", "FOLLOW"),
    "2": ("STATE", "OBJECT ID", "ATT", "AGE", "ERROR", "bad-1", "degraded", "out of"),
    "3": ("Events · FOLLOW · all", "item/bad-1", "degraded", "a1/10", "out of"),
    "4": ("HOST", "BEAT", "INFL/MAX", "STATE", "LAST ERROR", "last error", "works on", "grants"),
    "5": ("TICK", "LAST OK", "FAILS", "NEXT", "rescue", "Last runs of", "OUTCOME"),
    "6": ("KIND", "EVERY", "NEXT", "FAILS", "LAST RUN", "PARALLEL", "SEEN", "NAMESPACE", "default"),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_every_tab_shows_what_it_must_in_the_room_there_is(
    size: tuple[int, int], dash: Dash, dsn: str, observer: Observer
) -> None:
    await synced(dsn, "a", "bad-1")
    await _say(observer, "out of order, and for so long that no line has room for all of it")
    async with dash(size=size) as driven:
        for tab, words in TABS.items():
            await driven.press(tab)
            screen = await driven.shows(*ON_ALL, *words)
            lines = screen.splitlines()
            assert len(lines) == size[1] and max(map(len, lines)) <= size[0]
            _check_frames(lines)
        await driven.press("2")
        await driven.shows("bad-1")
        await driven.press("question_mark")
        await driven.shows("Here:", "invalidate", "╰")
        await driven.press("escape", "ctrl+a", "ctrl+d")
        await driven.shows("Delete 2 resources?", "type 2 to confirm", "Cancel")


def _check_frames(lines: list[str]) -> None:
    """Each frame that is opened on a line is closed on it, within the screen."""
    for line in lines:
        assert line.count("╭") == line.count("╮") and line.count("╰") == line.count("╯"), line


async def _say(observer: Observer, message: str) -> None:
    """Let everything that tells an error tell this one."""
    await observer.do("update delta_event set error = %s where category = 'object_failed'", message)
    error: dict[str, Any] = {"attempt": 1, "at": "2026-01-01T00:00:00Z", "error": "ValueError"}
    await observer.do(
        "update delta_resource set errors = %s where object_id = 'bad-1'",
        json.dumps([error | {"message": message, "trace": None, "worker_id": None}]),
    )
    await observer.do(
        "update delta_worker set state = 'running', heartbeat_at = now(), last_error = %s", message
    )
    await observer.do("update delta_tick set last_error = %s, consecutive_failures = 3", message)


async def test_problems_that_have_no_room_are_cut_with_a_sign(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await synced(dsn, "a")
    await _say(observer, "out of order")
    # One that is silent would be told of first.
    await observer.do("update delta_worker set heartbeat_interval_s = 600")
    async with dash(size=(80, 24)) as driven:
        screen = await driven.shows("!tick clean failed 3 times", "Health")
        told = next(line for line in screen.splitlines() if line.startswith("│ Ticks "))
        assert told.endswith("… │")


async def test_a_broad_terminal_shows_more(dash: Dash, dsn: str) -> None:
    await synced(dsn, "a")
    async with dash(size=(80, 24)) as driven:
        narrow = await driven.shows("item")
    async with dash(size=(240, 60)) as driven:
        broad = await driven.shows("item", "Rates", "SCHED", "SYNCED", "UNK")
        await driven.press("2")
        await driven.shows("WORKER", "DUE", "SYNCED", "[Object]")
        await driven.press("5")
        await driven.shows("HOLDER", "LAST SKIP", "OVERDUE")
    assert "SCHED" not in narrow and len(broad) > len(narrow)


async def test_columns_that_would_say_the_same_on_every_line_are_left_out(
    dash: Dash, dsn: str
) -> None:
    await inform(dsn, "a")
    async with dash(tab="resources", size=(160, 30)) as driven:
        assert " KIND " in await driven.shows("all · 1", "unknown")
        await driven.press("slash")
        await driven.write("kind:item")
        await driven.until(lambda: " KIND " not in driven.screen)
        await driven.shows("kind:item · 1", "unknown")


async def test_columns_are_as_wide_as_the_rows_of_the_list_that_is_shown(
    dash: Dash, dsn: str
) -> None:
    await inform(dsn, "short")
    await inform(dsn, "x" * 60, kind="other")
    async with dash(tab="resources", size=(240, 30)) as driven:
        table = driven.app.query_one("#resources-table", KeyedTable)

        def width() -> int:
            return next(width for column, width in table.fitted if column.key == "object_id")

        await driven.shows("all · 2", "x" * 60)
        assert width() == 60
        await driven.press("slash")
        await driven.write("kind:item")
        await driven.shows("kind:item · 1", "short")
        await driven.until(lambda: width() == len("OBJECT ID") + 1)
