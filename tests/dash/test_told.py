"""What the dashboard says where there is nothing to show or to do: never more than it knows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from delta_cli.dash.filters import parse
from delta_cli.dash.messages import Connected, ConnectionChanged, Mode
from delta_cli.dash.widgets.detail import Detail
from delta_cli.dash.words import until
from delta_cli.engine.listener import Listener
from tests.dash.conftest import Dash, inform
from tests.support.observing import Observer

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LOST = Connected(Mode.RECONNECTING, 1, "connection refused")


def test_what_is_overdue_is_late() -> None:
    assert until(NOW - timedelta(seconds=4.5), NOW) == "late 4.5s"
    assert until(NOW + timedelta(seconds=4.5), NOW) == "4.5s"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kund:user", "did you mean 'kind'?"),
        ("stat:failed", "there is no stat: to filter by"),
    ],
)
def test_a_key_that_is_mistyped_is_told_and_its_word_looked_for(text: str, words: str) -> None:
    chosen = parse(text)
    assert chosen.wanted.text == text
    assert [words in doubt for doubt in chosen.doubts] == [True]
    assert not parse("kind:user ns:eu plain").doubts


@pytest.mark.parametrize("text", ["urn:x:1", "http://x", ":x", "order:1", "kinds"])
def test_an_id_with_a_colon_is_looked_for_without_a_doubt(text: str) -> None:
    chosen = parse(text)
    assert (chosen.wanted.text, list(chosen.doubts)) == (text, [])


async def test_a_list_that_was_not_read_does_not_say_that_it_is_empty(dash: Dash, dsn: str) -> None:
    await inform(dsn, "a", "b")
    async with dash(listen=False) as driven:
        app = driven.app
        for one in list(app.workers):
            one.cancel()
        app.on_connection_changed(ConnectionChanged(LOST))
        await driven.press("2")
        screen = await driven.shows("cannot be read: the database is away")
        assert "no resources" not in screen
        await driven.press("a")
        await driven.shows("alert: the database is away")
        app.on_connection_changed(ConnectionChanged(Connected(Mode.POLL)))
        assert "no resources" not in driven.screen
        app.show()
        await driven.shows("all · 2")
        # A filter that is entered meanwhile has not been read either.
        app.on_connection_changed(ConnectionChanged(LOST))
        app.go_to_filter("kind:nobody")
        screen = await driven.shows("cannot be read: the database is away")
        assert "all · 2" not in screen and "kind:nobody · " not in screen


async def test_the_detail_is_empty_where_the_filter_lets_nothing_through(
    dash: Dash, dsn: str
) -> None:
    await inform(dsn, "first")
    async with dash(tab="resources") as driven:
        await driven.shows("all · 1", '"key": "first"')
        await driven.press("slash")
        await driven.write("kund:item")
        await driven.shows("did you mean 'kind'?", "no resources that the filter lets through")
        await driven.until(lambda: driven.app.query_one(Detail).row is None)
        assert "item/first" not in driven.screen
        await driven.press("escape")
        await driven.shows("all · 1", '"key": "first"')


async def test_keys_without_effect_say_so(dash: Dash, dsn: str) -> None:
    await inform(dsn, "a")
    async with dash(tab="workers") as driven:
        await driven.press("i")
        await driven.shows("invalidate: on Resources only")
        await driven.press("m")
        await driven.shows("mark: on Resources only")
        assert "/ filter" not in driven.screen
        await driven.press("3")
        await driven.shows("/ filter  : palette")
    async with dash(tab="resources", read_only=True) as driven:
        await driven.shows("all · 1")
        await driven.press("r")
        await driven.shows("retry: this is read only")


async def test_all_is_well_only_once_everything_was_read(dash: Dash) -> None:
    async with dash(listen=False) as driven:
        app = driven.app
        for one in list(app.workers):
            one.cancel()
        assert app.state.snapshot is not None
        read = replace(app.state.snapshot, counted=True)
        told = {
            "alert: not read yet": None,
            "no alerts so far: still counting": replace(read, counted=False),
            "no alerts: all is well": read,
        }
        for words, snapshot in told.items():
            app.state.snapshot = snapshot
            await driven.press("a")
            await driven.shows(words)


async def test_before_listen_was_tried_it_is_said_neither_to_poll_nor_when(
    dash: Dash, dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(self: Listener, channels: tuple[str, ...]) -> None:
        """A listener whose connection is being made."""

    with monkeypatch.context() as patched:
        patched.setattr(Listener, "run", never)
        async with dash() as driven:
            header = driven.screen.splitlines()[0]
            assert "CONNECTING" in header and "POLL" not in header
            driven.app.state.snapshot = None
            driven.app.draw_lines()
            await driven.until(lambda: "-Z" not in driven.screen.splitlines()[0])
    async with dash() as driven:
        await driven.shows("LIVE")


async def test_the_palette_finds_a_resource_by_the_beginning_of_its_id(
    dash: Dash, dsn: str
) -> None:
    await inform(dsn, "needle-1", "needle-2", "hay")
    async with dash() as driven:
        await driven.shows("item")
        found = await driven.app.store.resources.find("item", "need")
        assert [line.object_id for line in found] == ["needle-1", "needle-2"]
        await driven.press("colon")
        await driven.write("item/needle-2")
        await driven.shows("needle-2 · 1", "[2 Resources]")
