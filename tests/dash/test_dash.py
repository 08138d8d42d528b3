import re
from datetime import timedelta

from textual.widgets import Button, Input

from delta_cli import Client, Config, Permanent, TickService
from delta_cli.dash.screens.confirm import ConfirmScreen
from delta_cli.dash.widgets.event_log import EventLog
from delta_cli.dash.widgets.keyed_table import KeyedTable
from tests.dash.conftest import Dash, inform
from tests.support.engine import item_controller, working
from tests.support.observing import Observer
from tests.support.processes import Workers


async def synced(dsn: str, *ids: str) -> None:
    """Items that a controller has worked; those whose id begins with "bad" are degraded."""

    async def work(resource: object) -> None:
        if str(getattr(resource, "object_id", "")).startswith("bad"):
            raise Permanent("it is [bold]bad[/bold] \x1b[31mred")

    await inform(dsn, *ids)
    async with working(dsn, item_controller(work)) as client:
        await client.wait_until_drained()


async def test_each_tab_shows_what_the_tables_hold(
    dash: Dash, dsn: str, workers: Workers, observer: Observer
) -> None:
    await inform(dsn, *(f"item-{number}" for number in range(20)))
    worker = await workers.start(dsn, "quick")
    await observer.until_all("synced", 20)
    async with dash(size=(160, 40)) as driven:
        await driven.shows("item", "20", "Workers 1/1 alive", "rescue", "item/item-19")
        await driven.press("2")
        await driven.shows("all · 20", "item-0", "item-19", '"key": "item-')
        await driven.press("3")
        await driven.shows("Events · FOLLOW · all", "synced   item/item-")
        await driven.press("4")
        await driven.shows(str(worker.pid), "0/4", "running", "20")
        await driven.press("5")
        await driven.shows("rescue", "rebalance", "expire")
        driven.app.tab.go_to("rescue")
        await driven.shows("Last runs of rescue", "success")
        await driven.press("6")
        await driven.shows("Controllers · 1", "item", "Inform runs of item", "default")


async def test_an_action_changes_the_marked_rows_and_no_other(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await synced(dsn, "a", "b", "c", "d")
    async with dash(tab="resources") as driven:
        await driven.shows("all · 4")
        table = driven.app.query_one("#resources-table", KeyedTable)
        await driven.press("home", "asterisk", "down", "asterisk")
        marked = {row.cells["object_id"][0] for row in table.rows if row.key in table.marks}
        assert len(marked) == 2
        await driven.press("i")
        await driven.shows("Invalidate 2 resources?", "delta invalidate item")
        assert driven.app.focused is driven.app.screen.query_one("#cancel", Button)
        await driven.press("right", "enter")
        await driven.shows("invalidate: 2 done")
        rows = await observer.rows("select object_id from delta_resource where state = 'expired'")
        assert {row[0] for row in rows} == marked
        actors = await observer.rows("select distinct actor from delta_event where actor <> ''")
        assert actors == [("dash:tester",)]


async def test_cancelling_the_dialog_changes_nothing(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await synced(dsn, "a")
    async with dash(tab="resources") as driven:
        await driven.shows("all · 1")
        await driven.press("ctrl+d")
        await driven.shows("Delete 1 resource?")
        await driven.press("enter")
        await driven.until(lambda: not isinstance(driven.app.screen, ConfirmScreen))
        assert await observer.states() == {"synced": 1}


async def test_deleting_many_is_confirmed_by_typing_how_many(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await synced(dsn, "a", "b", "c")
    async with dash(tab="resources") as driven:
        await driven.shows("all · 3")
        await driven.press("ctrl+a", "ctrl+d")
        await driven.shows("Delete 3 resources?", "type 3 to confirm")
        button = driven.app.screen.query_one("#do", Button)
        assert driven.app.focused is driven.app.screen.query_one("#cancel", Button)
        await driven.press("2")
        assert button.disabled
        assert driven.app.screen.query_one("#confirm-typed", Input).value == "2"
        await driven.press("backspace", "3", "enter")
        await driven.shows("delete: 3 done")
        assert await observer.states() == {"deleted": 3}


async def test_a_row_that_changed_since_it_was_shown_is_left_alone_and_told(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await synced(dsn, "a", "b")
    async with dash(tab="resources", refresh_s=60.0) as driven:
        await driven.shows("all · 2")
        await driven.press("ctrl+a", "i")
        await driven.shows("Invalidate 2 resources?")
        await observer.do(
            "update delta_resource set generation = 2, synced_generation = 2 where object_id = 'b'"
        )
        await driven.press("right", "enter")
        await driven.shows("invalidate: 1 done, 1 left alone")
        assert (await observer.resource("b"))["state"] == "synced"


async def test_the_cursor_follows_its_row_when_the_order_changes(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await synced(dsn, *(f"item-{number}" for number in range(5)))
    async with dash(tab="resources") as driven:
        await driven.shows("all · 5")
        table = driven.app.query_one("#resources-table", KeyedTable)
        await driven.press("home", "down", "down")
        key = table.cursor_key
        place = table.keys.index(str(key))
        await inform(dsn, "newer-1", "newer-2")
        await driven.until(lambda: table.keys.index(str(key)) == place + 2)
        assert table.cursor_key == key


async def test_a_filter_lets_through_only_what_it_names(dash: Dash, dsn: str) -> None:
    await synced(dsn, "good-1", "good-2", "bad-1")
    await inform(dsn, "waits", kind="other")
    async with dash(tab="resources") as driven:
        await driven.shows("all · 4")
        await driven.press("slash")
        await driven.write("state:degraded")
        screen = await driven.shows("state:degraded · 1", "bad-1")
        assert "good-1" not in screen
        await driven.press("escape", "slash")
        await driven.write("kind:other")
        await driven.shows("kind:other · 1", "waits")
        await driven.press("escape", "slash")
        await driven.write("good")
        screen = await driven.shows("good · 2")
        await driven.press("slash")
        await driven.write("state:nonsense")
        await driven.shows("there is no state 'nonsense'")


async def test_marks_whose_rows_are_all_gone_do_not_turn_an_action_to_another_row(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await synced(dsn, "bad-1", "bad-2")
    async with dash(tab="resources") as driven:
        await driven.press("slash")
        await driven.write("state:degraded")
        await driven.shows("state:degraded · 2")
        await driven.press("home", "asterisk")
        key = next(iter(driven.app.query_one("#resources-table", KeyedTable).marks))
        await driven.shows("1 marked: actions are about them")
        await observer.do("update delta_resource set state = 'deleted' where id = %s", int(key))
        await driven.shows("state:degraded · 1", "marked and gone: 1")
        await driven.press("r")
        await driven.shows("what was marked is gone")
        await driven.press("escape", "r")
        await driven.shows("Retry 1 resource?")


async def test_the_resource_that_is_looked_into_stays_when_the_filter_lets_it_through_no_more(
    dash: Dash, dsn: str
) -> None:
    await synced(dsn, "bad-1", "bad-2")
    async with dash(tab="resources", size=(80, 24)) as driven:
        table = driven.app.query_one("#resources-table", KeyedTable)
        await driven.press("slash")
        await driven.write("state:degraded")
        await driven.shows("state:degraded · 2")
        await driven.press("home", "enter")
        key = table.cursor_key
        before = await driven.shows("item/bad-", "degraded", "attempt")
        name = "item/bad-1" if "item/bad-1" in before else "item/bad-2"
        await driven.press("r")
        await driven.shows("Retry 1 resource?", name)
        await driven.press("right", "enter")
        await driven.shows(name, "scheduled")
        await driven.until(lambda: str(table.border_title).endswith(" 1"))
        assert table.cursor_key == key and name in driven.screen
        await driven.press("i")
        await driven.shows("invalidate is refused")
        await driven.press("escape")
        await driven.shows("state:degraded · 1")
        await driven.until(lambda: table.keys != [] and key not in table.keys)


async def test_the_detail_shows_the_object_its_drift_and_its_attempts(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await synced(dsn, "bad-1")
    async with dash(tab="resources", size=(160, 40)) as driven:
        await driven.shows("all · 1", '"key": "bad-1"')
        await driven.press("enter", "right")
        await driven.shows("never synced")
        await driven.press("right")
        await driven.shows("#1 ", "[bold]bad[/bold]", "\\x1b[31mred")
        await driven.press("right")
        await driven.shows("degraded", "a1/10")
        await driven.press("right")
        await driven.shows("sync_count", "metadata")
        await driven.press("escape")
        assert driven.app.focused is driven.app.query_one("#resources-table")


async def test_a_tick_is_forced_and_its_run_is_shown(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await synced(dsn, "a")
    async with dash(tab="ticks") as driven:
        await driven.shows("rescue")
        driven.app.tab.go_to("clean")
        await driven.press("t")
        await driven.shows("Tick 1 tick?", "delta tick clean")
        await driven.press("right", "enter")
        screen = await driven.shows("tick clean: 1 done (success)")
        assert "tick tick" not in screen
        await driven.shows("Last runs of clean", "success")
    # It stands beside the run who has forced it.
    runs = (
        "select outcome, holder like '% (%)' from delta_tick_run where name = 'clean' order by id"
    )
    assert (await observer.rows(runs))[-1] == ("success", True)


async def test_a_paused_tick_that_is_forced_is_told_as_skipped(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await synced(dsn, "a")
    await observer.do("insert into delta_pause (scope, name) values ('tick', 'clean')")
    async with dash(tab="ticks") as driven:
        await driven.shows("paused")
        driven.app.tab.go_to("clean")
        await driven.press("t")
        await driven.shows("Tick 1 tick?")
        await driven.press("right", "enter")
        await driven.shows("tick clean: 0 done (skipped: paused)")
        assert {one.severity for one in driven.app._notifications} == {"warning"}


async def test_the_tick_of_an_application_is_not_forced_but_its_command_told(
    dash: Dash, dsn: str
) -> None:
    config = Config(ticks=[TickService("audit", timedelta(hours=1), lambda: 1)])
    async with Client(dsn, config) as client:
        await client.tick("audit")
        async with dash(tab="ticks") as driven:
            await driven.shows("audit")
            driven.app.tab.go_to("audit")
            await driven.press("t")
            await driven.shows("tick audit belongs to an application")
            told = " ".join(one.message for one in driven.app._notifications)
            assert told.endswith("from a shell: delta tick audit --app MODULE:CONFIG")
            assert not isinstance(driven.app.screen, ConfirmScreen)
            await driven.press("p")
            await driven.shows("Pause 1 tick?")


async def test_a_kind_is_paused_and_resumed(dash: Dash, dsn: str, observer: Observer) -> None:
    await synced(dsn, "a")
    async with dash() as driven:
        await driven.shows("item")
        await driven.press("p")
        await driven.shows("Pause 1 kind?", "delta pause kind item")
        await driven.press("right", "enter")
        await driven.until(lambda: re.search(r"item .* paused", driven.screen))
        assert await observer.rows("select scope, name, actor from delta_pause") == [
            ("kind", "item", "dash:tester")
        ]
        await driven.press("P")
        await driven.shows("Resume 1 kind?")
        await driven.press("right", "enter")
        await driven.until(lambda: not re.search(r"item .* paused", driven.screen))
        assert await observer.rows("select 1 from delta_pause") == []


async def test_a_running_work_is_cancelled(
    dash: Dash, dsn: str, workers: Workers, observer: Observer
) -> None:
    await inform(dsn, "a")
    await workers.start(dsn, "hang")
    await observer.until_state("a", "pending")
    async with dash(tab="resources") as driven:
        await driven.shows("pending", "all · 1")
        await driven.press("x")
        await driven.shows("Cancel 1 resource?", "delta cancel item a")
        buttons = {str(one.id): str(one.label) for one in driven.app.screen.query(Button)}
        assert buttons == {"cancel": "Keep running", "do": "Cancel the work"}
        assert driven.app.focused is driven.app.screen.query_one("#cancel", Button)
        await driven.press("right", "enter")
        await driven.shows("cancel: 1 done")
    assert (await observer.resource("a"))["errors"] != [] or await observer.value(
        "select count(*) from delta_cancel"
    )


async def test_read_only_offers_no_action(dash: Dash, dsn: str, observer: Observer) -> None:
    await synced(dsn, "a")
    async with dash(tab="resources", read_only=True) as driven:
        screen = await driven.shows("[RO]", "all · 1")
        assert "invalidate" not in screen
        await driven.press("i", "ctrl+d")
        assert not isinstance(driven.app.screen, ConfirmScreen)
    assert await observer.states() == {"synced": 1}


async def test_the_log_holds_when_one_scrolls_up_and_follows_again(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await synced(dsn, *(f"item-{number}" for number in range(60)))
    async with dash(tab="events") as driven:
        log = driven.app.query_one("#events-log", EventLog)
        await driven.until(lambda: len(log.entries) == 60)
        await driven.press("pageup")
        await driven.shows("HELD, +0 new")
        before = log.scroll_offset
        await synced(dsn, "more-1", "more-2")
        await driven.shows("HELD, +2 new")
        assert log.scroll_offset == before
        await driven.press("f")
        await driven.shows("Events · FOLLOW", "more-2")


async def test_a_frozen_screen_counts_what_waits_and_catches_up(dash: Dash, dsn: str) -> None:
    await synced(dsn, "a")
    async with dash() as driven:
        await driven.shows("item/a")
        await driven.press("space")
        await driven.shows("FROZEN +0")
        await synced(dsn, "b")
        screen = await driven.shows("FROZEN +1")
        assert "item/b" not in screen
        await driven.press("space")
        await driven.shows("item/b")


async def test_the_palette_leads_to_a_resource_by_its_key(dash: Dash, dsn: str) -> None:
    await synced(dsn, "needle", "hay-1", "hay-2")
    async with dash() as driven:
        await driven.shows("item")
        await driven.press("colon")
        await driven.write("item/needle")
        await driven.shows("needle · 1", "[2 Resources]")


async def test_a_small_terminal_shows_all_that_matters(dash: Dash, dsn: str) -> None:
    await synced(dsn, "a", "bad-1")
    async with dash(size=(80, 24)) as driven:
        await driven.shows(
            "LIVE", "1 Over", "Health", "Workers", "item", "DEGR", "alerts (a jumps)"
        )
        await driven.press("2", "enter")
        await driven.shows("[Object]", "Diff")
        await driven.press("escape")
        await driven.shows("all · 2")


async def test_the_buttons_of_a_long_dialog_stay_in_sight(dash: Dash, dsn: str) -> None:
    await inform(dsn, *("x" * 200 + str(number) for number in range(60)))
    async with dash(tab="resources", size=(80, 24)) as driven:
        await driven.shows("all · 60")
        await driven.press("ctrl+a", "ctrl+d")
        await driven.shows("Delete 60 resources?", "type 60 to confirm", "Cancel", "Delete 60")


async def test_ascii_mode_draws_nothing_but_ascii(dash: Dash, dsn: str) -> None:
    await synced(dsn, "a")
    async with dash(ascii=True) as driven:
        screen = await driven.shows("item/a", "LIVE")
        assert screen.isascii(), sorted({one for one in screen if not one.isascii()})


async def test_keys_can_be_others(dash: Dash, dsn: str) -> None:
    await synced(dsn, "a")
    async with dash(tab="resources", keys={"invalidate": "u"}) as driven:
        await driven.shows("all · 1")
        await driven.press("u")
        await driven.shows("Invalidate 1 resource?")


async def test_long_errors_of_the_log_are_wrapped_when_asked_for(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await synced(dsn, "bad-1", "good")
    long = " ".join(f"word-{number}" for number in range(40))
    await observer.do("update delta_event set error = %s where error is not null", long)
    async with dash(tab="events", size=(80, 24)) as driven:
        assert "word-39" not in await driven.shows("item/bad-1", "word-0")
        await driven.press("w")
        await driven.shows("item/bad-1", "word-0", "word-39")
        await driven.press("up", "up", "enter")  # a further line is of the same event
        await driven.shows("bad-1 · 1", "[2 Res]")


async def test_the_diff_shows_both_objects_side_by_side_and_what_became_of_it(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await synced(dsn, "a")
    await observer.do(
        "update delta_resource set state = 'scheduled', generation = 2, due_at = now() + '1h',"
        " object = %s, last_synced_object = %s",
        *('{"key": "a", "balance": 1200}', '{"key": "a", "balance": 1150}'),
    )
    async with dash(tab="resources", size=(160, 40)) as driven:
        await driven.shows("all · 1", "scheduled~")
        await driven.press("d")
        await driven.shows("desired", "last synced", "1200", "≠", "1150", "Timeline", "a1/10")


async def test_a_protected_profile_asks_for_its_name(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await synced(dsn, "a")
    async with dash(tab="resources", protected="production") as driven:
        await driven.shows("all · 1")
        await driven.press("i")
        await driven.shows("Invalidate 1 resource?", "type production to confirm")
        driven.app.screen.query_one("#confirm-typed").focus()
        await driven.write("1")
        assert await observer.states() == {"synced": 1}
        await driven.press("backspace")
        await driven.write("production")
        await driven.shows("invalidate: 1 done")


async def test_a_list_that_cannot_be_read_says_so_and_comes_back(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await synced(dsn, "a")
    async with dash(tab="resources") as driven:
        await driven.shows("all · 1")
        await observer.do("alter table delta_resource rename column updated_at to gone")
        await driven.shows("cannot be read now")
        await observer.do("alter table delta_resource rename column gone to updated_at")
        await driven.until(lambda: "cannot be read now" not in driven.screen)


async def test_what_is_paused_is_told_and_led_to(dash: Dash, dsn: str, observer: Observer) -> None:
    await synced(dsn, "a")
    async with Client(dsn) as client:
        await client.control.pause("namespace", "default", reason="maintenance", actor="ana")
    async with dash() as driven:
        await driven.shows("namespace default is paused by ana: maintenance")
        driven.app.go_to_alert(driven.app.state.alerts[-1])
        await driven.press("P")
        await driven.shows("Resume 1 namespace?")
