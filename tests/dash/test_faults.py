import asyncio

from textual.widgets import Button

from delta_cli import Client
from delta_cli.dash.messages import Gap, Mode
from delta_cli.dash.widgets.keyed_table import KeyedTable
from delta_cli.engine.embedded import EmbeddedServer
from delta_cli.engine.model.event import Event
from tests.cli.conftest import delta
from tests.dash.conftest import Dash, Driven, inform, open_dash
from tests.support.command_line import APPS, CommandLine
from tests.support.engine import item_controller, working
from tests.support.observing import Observer

__all__ = ["delta"]


async def work_all(dsn: str, *ids: str) -> None:
    await inform(dsn, *ids)
    async with working(dsn, item_controller(lambda _: None)) as client:
        await client.wait_until_drained()


def shown_events(driven: Driven) -> list[int]:
    return [entry.id for entry in driven.app.state.log if isinstance(entry, Event)]


def gaps(driven: Driven) -> list[Gap]:
    return [entry for entry in driven.app.state.log if isinstance(entry, Gap)]


async def all_events(observer: Observer) -> list[int]:
    return [row[0] for row in await observer.rows("select id from delta_event order by id")]


def mode(driven: Driven) -> Mode | None:
    connected = driven.app.state.connected
    return None if connected is None else connected.mode


async def test_a_listener_that_is_terminated_is_replaced_and_no_event_is_lost_or_doubled(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await work_all(dsn, "a")
    async with dash() as driven:
        await driven.until(lambda: mode(driven) is Mode.LIVE)
        killed = await observer.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and query ilike 'listen%'"
        )
        assert killed
        await work_all(dsn, "b", "c")
        await driven.until(lambda: bool(gaps(driven)) and mode(driven) is Mode.LIVE)
        await work_all(dsn, "d")
        expected = await all_events(observer)
        await driven.until(lambda: shown_events(driven) == expected)
        await driven.shows("gap: nothing heard")


async def test_a_restarted_server_leaves_the_screen_as_it_was(own_server: EmbeddedServer) -> None:
    dsn = own_server.dsn
    await work_all(dsn, "a", "b", "c")
    async with open_dash(dsn, tab="resources") as driven:
        await driven.shows("all · 3")
        table = driven.app.query_one("#resources-table", KeyedTable)
        await driven.press("slash")
        await driven.write("kind:item")
        await driven.shows("kind:item · 3")
        await driven.press("home", "asterisk")
        marks, cursor = set(table.marks), table.cursor_key
        await asyncio.to_thread(own_server.stop, force=True)
        await driven.shows("RECONNECTING", "nothing new for", "actions are off", within=40)
        await driven.press("i")
        assert not driven.app.screen.query(Button)
        await asyncio.to_thread(own_server.join)
        driven.app.action_reconnect()
        await driven.until(lambda: mode(driven) is Mode.LIVE, within=40)
        assert (set(table.marks), table.cursor_key) == (marks, cursor)
        await driven.shows("kind:item · 3")
        await work_all(dsn, "d")
        observer = await Observer.connect(dsn)
        expected = await all_events(observer)
        await observer.connection.close()
        await driven.until(lambda: shown_events(driven) == expected, within=40)


async def test_a_schema_that_is_gone_is_told_and_its_return_is_noticed(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await work_all(dsn, "a")
    async with dash() as driven:
        await driven.shows("item/a")
        await observer.do("alter table delta_event rename to gone")
        await driven.shows("RECONNECTING", "delta migrate")
        await observer.do("alter table gone rename to delta_event")
        driven.app.action_reconnect()
        await driven.until(lambda: mode(driven) is Mode.LIVE)


async def test_a_worker_killed_while_it_is_shown_becomes_an_alert_and_then_lost(
    dash: Dash, delta: CommandLine, dsn: str, observer: Observer
) -> None:
    with delta.started("run", "--app", str(APPS / "shop.py") + ":config") as process:
        async with dash(tab="workers", size=(160, 40)) as driven:
            await driven.shows(str(process.pid), "running", within=60)
            process.kill()
            process.wait(20)
            # What its heart would not do for a quarter minute, and its survivors find out.
            await silence(observer)
            await driven.shows(str(process.pid), "silent", "is silent for", "! ")
            await inform(dsn, "more", kind="other")
            async with working(dsn, item_controller(lambda _: None)) as client:
                await client.tick("rescue")
                await driven.shows(str(process.pid), "lost")
                assert mode(driven) is Mode.LIVE
                await driven.press("1")
                await driven.shows("Workers 1/1 alive", "was lost")


async def silence(observer: Observer) -> None:
    """Let every worker have missed its heartbeats, however briefly the server has run."""
    await observer.do(
        "update delta_worker"
        " set heartbeat_at = heartbeat_at - interval '20 seconds', heartbeat_interval_s = 0.001"
    )


async def test_without_listen_it_polls(dash: Dash, dsn: str, observer: Observer) -> None:
    async with dash(listen=False) as driven:
        await driven.shows("POLL")
        await work_all(dsn, "a")
        await driven.shows("item/a")


async def test_a_long_absence_shows_the_newest_events_and_how_many_are_not_shown(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await work_all(dsn, "a")
    async with dash() as driven:
        await driven.until(lambda: mode(driven) is Mode.LIVE)
        # A look that had begun by then reads all of them page by page, and misses none.
        for _ in range(5):
            newest = await write_many(observer)
            await driven.until(lambda newest=newest: driven.app.state.newest == newest, within=30)
            if any(gap.missed > 3_000 for gap in gaps(driven)):
                break
        assert any(gap.missed > 3_000 for gap in gaps(driven))
        assert len(shown_events(driven)) <= 5_100


async def write_many(observer: Observer) -> int:
    """Write 9,000 events at once. Returns the id of the last."""
    await observer.do(
        "insert into delta_event (category, resource_id, namespace, kind, object_id, state,"
        " attempt, max_attempts, generation, sync_count)"
        " select 'object_synced', 1, 'default', 'item', 'x' || i, 'synced', 1, 10, 1, 1"
        " from generate_series(1, 9000) as i"
    )
    return await observer.value("select max(id) from delta_event")


HOSTILE = (
    "[bold red]x[/] [/nothing] [@click=app.quit]y[/]",
    "\x1b[2J\x1b]0;owned\x07 \x9b31m",
    "x" * 254,
    "宽" * 200,
    "e\u0301\u0302\u0303" * 60,
    "\u202eabc\u2066 عربي \u200f",
    "tab\there\nnewline",
)


async def test_hostile_text_in_every_field_does_no_harm(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await work_all(dsn, "a")
    for number, text in enumerate(HOSTILE):
        async with Client(dsn) as client:
            await client.control.pause("kind", "item", reason=text[:100] or None, actor=text[:50])
        await observer.do(
            "insert into delta_resource (namespace, kind, object_id, state, max_attempts, object,"
            " hash, metadata, errors, tags) values ('default', %s, %s, 'degraded', 10,"
            " jsonb_build_object(%s::text, %s::text), '', jsonb_build_object('k', %s::text),"
            " jsonb_build_array(jsonb_build_object('attempt', 1, 'at', now(), 'error', %s::text,"
            " 'message', %s::text, 'trace', %s::text)), array[%s])",
            *(text[:127], text[:254]),
            *[text] * 7,
        )
        await observer.do(
            "insert into delta_event (category, resource_id, namespace, kind, object_id, state,"
            " attempt, max_attempts, generation, sync_count, error, actor)"
            " values ('object_failed', %s, %s, %s, %s, 'degraded', 1, 10, 1, 1, %s, %s)",
            *(number, text, text, text, text, text),
        )
        await observer.do(
            "insert into delta_worker (host, pid, version, kinds, capacity, last_error)"
            " values (%s, 1, %s, array[%s], 4, %s)",
            *[text] * 4,
        )
        await observer.do(
            "insert into delta_tick (name, interval_s, lock_id, last_error, holder, count_key)"
            " values (%s, 60, %s, %s, %s, %s)",
            *(text[:127], number, text, text, text),
        )
        await observer.do(
            "insert into delta_inform (kind, requested_by, error) values ('item', %s, %s)",
            *(text, text),
        )
    async with dash() as driven:
        await driven.shows("item/a")
        for tab in "123456":
            await driven.press(tab)
            await driven.pilot.pause()
            _check_harmless(driven)
        await driven.press("2", "home")
        for _ in HOSTILE:
            await driven.press("enter", "right", "right", "right", "right", "right")
            _check_harmless(driven)
            await driven.press("i", "escape", "escape", "down")
        await driven.press("ctrl+a", "ctrl+d")
        await driven.shows("Delete")
        _check_harmless(driven)
        await driven.press("escape", "colon", "x")
        await driven.pilot.pause()
        _check_harmless(driven)


def _check_harmless(driven: Driven) -> None:
    driven._check()
    screen = driven.screen
    bad = {one for one in screen if (ord(one) < 32 and one != "\n") or 0x7F <= ord(one) < 0xA0}
    assert not bad | (set(screen) & set("\u202e\u2066\u200f"))
