"""Lists of many lines beside their scrollbar."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from textual.app import App, ComposeResult
from textual.widget import Widget

from delta_cli.dash.glyphs import UNICODE
from delta_cli.dash.tones import Tone
from delta_cli.dash.widgets.columns import Column
from delta_cli.dash.widgets.event_log import EventLog
from delta_cli.dash.widgets.keyed_table import KeyedTable
from delta_cli.dash.widgets.rows import Row
from delta_cli.engine.model.event import Event, EventCategory
from delta_cli.engine.states import ResourceState

LONG = "word" * 40
EVENT = Event(
    *(1, datetime(2026, 1, 1, tzinfo=UTC), EventCategory.OBJECT_FAILED, 1, "default", "item", "a"),
    *(ResourceState.FAILED, 1, 10, 1, 1, None, 5.0, LONG, None),
)


class One(App[None]):
    """Shows one widget."""

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self._widget = widget

    def compose(self) -> ComposeResult:
        yield self._widget


def _log() -> EventLog:
    return EventLog(glyphs=UNICODE, id="log", ring=1_000)


def _table() -> KeyedTable:
    return KeyedTable([Column("error", "ERROR", 12, most=400)], id="table")


def _cells() -> dict[str, tuple[str, Tone]]:
    return {"error": (LONG, Tone.WARN)}


def _fill(widget: EventLog | KeyedTable, lines: int) -> None:
    if isinstance(widget, EventLog):
        widget.load([replace(EVENT, id=number) for number in range(lines)])
    else:
        widget.set_rows([Row(str(number), _cells) for number in range(lines)])


@pytest.mark.parametrize("lines", [3, 300])
@pytest.mark.parametrize("make", [_log, _table])
async def test_the_sign_of_a_cut_text_is_not_behind_the_scrollbar(
    make: Callable[[], EventLog | KeyedTable], lines: int
) -> None:
    widget = make()
    async with One(widget).run_test(size=(80, 12)) as pilot:
        _fill(widget, lines)
        await pilot.pause()
        width = widget.scrollable_content_region.width
        assert (width < 80) is (lines == 300)
        assert widget.render_line(1).text[:width].rstrip().endswith(UNICODE.cut)


async def test_names_that_grow_break_wrapped_errors_anew() -> None:
    log = _log()
    async with One(log).run_test(size=(80, 12)) as pilot:
        log.load([replace(EVENT, error="brief " * 4)])
        log.toggle_wrap()
        await pilot.pause()
        before = log.virtual_size.height
        log.add([replace(EVENT, id=2, object_id="x" * 30, error=None)])
        await pilot.pause()
        drawn = "\n".join(log.render_line(y).text for y in range(6))
    assert before == 1 and "brief brief brief brief" in drawn
