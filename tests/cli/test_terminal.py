"""What a person at a terminal sees."""

from pathlib import Path

import psycopg
import pytest

from tests.cli.conftest import Inform
from tests.support.command_line import CommandLine


def test_tables_fit_the_terminal(delta: CommandLine, inform: Inform) -> None:
    inform("x" * 200)
    code, shown = delta.on_terminal("list")
    assert code == 0
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "…" in shown


def test_errors_are_coloured_unless_no_color_is_set(nowhere: CommandLine) -> None:
    code, shown = nowhere.on_terminal("status")
    assert (code, "\x1b[1;31merror:\x1b[0m" in shown) == (3, True)
    code, shown = nowhere.on_terminal("status", environ={"NO_COLOR": "1"})
    assert (code, "\x1b" in shown) == (3, False)


def test_help_without_colour_on_request(nowhere: CommandLine) -> None:
    code, shown = nowhere.on_terminal("--help", environ={"NO_COLOR": "1"})
    assert code == 0
    assert "\x1b[3" not in shown
    assert "migrate" in shown


def test_a_drain_shows_a_bar_on_a_terminal_only(shop: CommandLine, inform: Inform) -> None:
    inform("a")
    code, shown = shop.on_terminal("run", "--drain", "--log-level", "error")
    assert (code, "working" in shown) == (0, True)
    assert "working" not in shop("run", "--drain", "--log-level", "error").expect(0).err


@pytest.mark.parametrize("command", ["tick", "status", "workers"])
def test_a_narrow_terminal_loses_what_says_nothing_and_cuts_no_time_and_no_name(
    delta: CommandLine, dsn: str, command: str
) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(Path(__file__).with_name("golden.sql").read_bytes())
        connection.execute(
            "update delta.delta_worker"
            " set last_error = 'OSError: the API is down' || repeat('!', 99)"
        )
        connection.execute("delete from delta.delta_tick where name = 'nightly'")
        connection.execute(
            "update delta.delta_resource set kind = 'quite_a_long_kind', namespace = 'default'"
        )
    code, shown = delta.on_terminal(command)
    assert code == 0
    assert max(len(line) for line in shown.splitlines() if "note:" not in line) <= 80
    if command == "tick":
        head = shown.splitlines()[0]
        assert ("next_due" in head, "consecutive" in head, "paused" in head) == (True, False, False)
        assert "2026-01-01 10:00:00Z" in shown
    else:
        assert "OSError: the API" in shown
    if command == "status":
        assert "quite_a_long_kind  default" in shown
        assert "scheduled" not in shown
