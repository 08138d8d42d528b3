"""What is typed in one go, as over a slow line, goes where it would go if typed slowly."""

from textual import events
from textual.keys import _character_to_key

from delta_cli.dash.screens.confirm import ConfirmScreen
from delta_cli.dash.widgets.filter_bar import FilterBar
from tests.dash.conftest import Dash, Driven, inform


def type_at_once(driven: Driven, text: str) -> None:
    """Send the keys of a text before the first of them is answered; a new line is Enter."""
    for one in text:
        key = "enter" if one == "\n" else _character_to_key(one)
        driven.app.post_message(events.Key(key, one if one.isprintable() else None))


def bar_of(driven: Driven) -> FilterBar:
    return driven.app.tab.query_one(FilterBar)


async def test_what_is_typed_after_the_key_of_the_filter_goes_to_the_filter(
    dash: Dash, dsn: str
) -> None:
    await inform(dsn, "queue-1", "other")
    async with dash(tab="resources") as driven:
        await driven.shows("all · 2")
        type_at_once(driven, "/queue")
        await driven.until(lambda: bar_of(driven).value == "queue")
        assert driven.app.is_running and driven.app.tab.id == "resources"
        await driven.press("enter")
        await driven.shows("queue · 1")


async def test_a_tab_a_filter_and_enter_may_be_typed_in_one_go(dash: Dash, dsn: str) -> None:
    await inform(dsn, "u051", "other")
    async with dash() as driven:
        type_at_once(driven, "2/u05\n")
        await driven.shows("u05 · 1")
        assert driven.app.tab.id == "resources"
        type_at_once(driven, "3/i")
        await driven.until(lambda: driven.app.tab.id == "events" and bar_of(driven).value == "i")
        assert not isinstance(driven.app.screen, ConfirmScreen)


async def test_what_is_typed_after_enter_is_no_part_of_the_filter(dash: Dash, dsn: str) -> None:
    await inform(dsn, "u051", "other")
    async with dash(tab="resources") as driven:
        await driven.shows("all · 2")
        type_at_once(driven, "/u05\nzz\n")
        await driven.shows("u05 · 1")
        await driven.until(lambda: not isinstance(driven.app.focused, FilterBar))
        assert driven.app.resources.filter.text == "u05"


async def test_escape_closes_the_line_of_the_filter_and_nothing_else(dash: Dash, dsn: str) -> None:
    await inform(dsn, "u051", "other")
    async with dash(tab="resources") as driven:
        await driven.shows("all · 2")
        await driven.press("slash", "x", "escape")
        await driven.until(lambda: driven.app.focused is driven.app.tab.table)
        assert driven.app.tab.id == "resources"
        type_at_once(driven, "/u05\n")
        await driven.shows("u05 · 1")
        await driven.press("slash", "escape")
        await driven.until(lambda: driven.app.focused is driven.app.tab.table)
        assert driven.app.resources.filter.text == "u05"
        await driven.press("3", "slash", "escape")
        await driven.until(lambda: not bar_of(driven).display)
        assert driven.app.tab.id == "events"
