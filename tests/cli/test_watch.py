"""`--watch`: a list again whenever it changes, drawn in place on a terminal, appended in a pipe."""

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from delta_cli import Client
from delta_cli.cli import output, watcher
from delta_cli.cli.frame import Stale
from delta_cli.cli.output import Paper, Screen
from delta_cli.engine.database import describe_connection_error
from delta_cli.engine.embedded import EmbeddedServer
from tests.cli.conftest import Here, Inform
from tests.support.command_line import CommandLine, ended

#: Look; returns how often the server was asked, and what was told of an outage.
SlowLook = Callable[..., Awaitable[tuple[int, list[str]]]]
WATCHED = ["list", "status", "workers", "tick", "informs"]
ENTERS, LEAVES, HOME = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l", "\x1b[H"


def line_of(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def test_a_terminal_is_redrawn_in_place_when_something_is_synced(
    shop: CommandLine, inform: Inform
) -> None:
    inform("a")
    # Only an event can bring the second look.
    with shop.terminal("list", "--watch", "--interval", "1h") as terminal:
        place = terminal.until("a          unknown")
        assert ENTERS in terminal.shown
        shop("run", "--drain").expect(0)
        terminal.until("synced", after=terminal.until(HOME, after=place))
        terminal.type("\x03")
        code, shown = terminal.end()
    assert code == 130
    before, _, left = shown.rpartition(LEAVES)
    assert before.count(HOME) >= 2
    assert "synced" in left
    assert "Ctrl-C" not in left
    assert max(len(line) for line in left.splitlines()) <= 80


@pytest.mark.parametrize("command", WATCHED)
def test_each_of_them_looks_again_at_the_interval(delta: CommandLine, command: str) -> None:
    with delta.terminal(command, "--watch", "--interval", "10ms") as terminal:
        terminal.until(HOME, after=terminal.until(HOME))
        terminal.type("\x03")
        assert terminal.end()[0] == 130


def test_a_pipe_gets_a_line_per_record_at_each_change(
    delta: CommandLine, quick: Here, inform: Inform
) -> None:
    inform("a", "b")
    words = ("list", "--watch", "--interval", "50ms", "-o", "jsonl")
    with delta.started(*words, "--columns", "object_id,state") as process:
        first = [line_of(process), line_of(process)]
        assert [one["object_id"] for one in first] == ["a", "b"]
        assert first[0]["snapshot_at"] == first[1]["snapshot_at"]
        assert list(first[0]) == ["snapshot_at", "object_id", "state"]
        quick("delete", "item", "a", "--yes").expect(0)
        second = [line_of(process), line_of(process)]
        assert [one["state"] for one in second] == ["deleted", "unknown"]
        assert second[0]["snapshot_at"] > first[0]["snapshot_at"]
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert (done.code, done.out) == (130, "")


def test_a_look_at_nothing_is_its_time_alone(delta: CommandLine) -> None:
    with delta.started("workers", "--watch", "-o", "jsonl") as process:
        assert list(line_of(process)) == ["snapshot_at"]


def test_a_reader_that_goes_away_ends_it_quietly(delta: CommandLine, inform: Inform) -> None:
    inform("a")
    with delta.started("status", "--watch", "--interval", "1h", "-o", "jsonl") as process:
        assert line_of(process)["states"]["unknown"] == 1
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        done = ended(process)
    assert (done.code, done.err) == (0, "")


def test_it_survives_a_server_that_restarts_and_says_so_once(
    own_server: EmbeddedServer, delta: CommandLine, here: Here
) -> None:
    delta.environ["DELTA_DSN"] = own_server.dsn
    with delta.started("list", "--watch", "--interval", "50ms", "-o", "jsonl") as process:
        assert list(line_of(process)) == ["snapshot_at"]
        own_server.stop(force=True)
        assert process.stderr is not None
        assert "the database is away" in process.stderr.readline()
        own_server.join()
        environ = {"DELTA_DSN": own_server.dsn}
        here("inform", "item", "--object", '{"id": "a"}', environ=environ).expect(0)
        assert line_of(process)["object_id"] == "a"
        process.send_signal(signal.SIGTERM)
        done = ended(process)
    assert (done.code, done.err) == (143, "")


def test_an_outage_is_told_at_once_with_its_reason(
    own_server: EmbeddedServer, delta: CommandLine
) -> None:
    delta.environ["DELTA_DSN"] = own_server.dsn
    with delta.started("status", "--watch", "--interval", "1h", "-o", "jsonl") as process:
        line_of(process)
        own_server.stop(force=True)
        began = time.monotonic()
        assert process.stderr is not None
        told = process.stderr.readline()
        # A pool of connections would hope for ten seconds, and not know why.
        assert time.monotonic() - began < 8
        assert "the database is away, and is asked again until it is back: " in told
        assert "couldn't get a connection" not in told


def test_a_terminal_shows_how_old_the_last_look_is_while_the_database_is_away(
    own_server: EmbeddedServer, delta: CommandLine
) -> None:
    delta.environ["DELTA_DSN"] = own_server.dsn
    with delta.terminal("list", "--watch", "--interval", "1h") as terminal:
        terminal.until("object_id")
        own_server.stop(force=True)
        place = terminal.until("the database is away")
        place = terminal.until(" s old, Ctrl-C ends", after=place)
        terminal.until("object_id", after=place)
        terminal.type("\x03")
        code, shown = terminal.end()
    assert code == 130
    assert "warning:" in shown.rpartition(LEAVES)[2]


async def test_a_look_that_is_merely_slow_asks_the_server_once(slow_look: SlowLook) -> None:
    assert await slow_look() == (1, [])


@pytest.mark.parametrize(
    "refused",
    [
        "sorry, too many clients already",
        'too many connections for role "shop"',
        "remaining connection slots are reserved for roles with the SUPERUSER attribute",
    ],
)
async def test_a_server_without_room_for_another_connection_is_not_away(
    slow_look: SlowLook, refused: str
) -> None:
    assert await slow_look(refused) == (1, [])


async def test_a_server_that_refuses_is_asked_again_soon(slow_look: SlowLook) -> None:
    asked, told = await slow_look("Connection refused")
    assert asked > 1
    assert "Connection refused" in told[0]


@pytest.fixture
def slow_look(dsn: str, monkeypatch: pytest.MonkeyPatch) -> SlowLook:
    """A look that takes a hundred times as long as the watcher's patience."""

    async def look(refused: str | None = None) -> tuple[int, list[str]]:
        asked = 0
        stale = _StalePaper()

        async def prove() -> None:
            nonlocal asked
            asked += 1
            if refused is not None:
                error = psycopg.OperationalError(f"connection failed: FATAL:  {refused}")
                raise describe_connection_error(error, dsn)

        async def read(_: Client) -> None:
            await asyncio.sleep(1)

        monkeypatch.setattr(watcher, "_PATIENCE_S", 0.01)
        async with Client(dsn) as client:
            monkeypatch.setattr(client.database, "prove_server", prove)
            looks = watcher._Watcher(read, lambda _: None, timedelta(hours=1))
            await looks._look(client, stale)
        return asked, stale.told

    return look


class _StalePaper(Paper):
    """Remembers what was told of an outage."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def tell_stale(self, stale: Stale) -> None:
        self.told.append(stale.why)


def test_a_terminal_shows_why_there_has_been_no_look_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[str] = []
    monkeypatch.setattr(output, "write", written.append)
    Screen().tell_stale(Stale("the database is away: it does not\x1b[31m answer", 3.2))
    (drawn,) = written
    assert "nothing seen for 3 s, Ctrl-C ends" in drawn
    assert "the database is away: it does not" in drawn
    assert "\x1b[31m" not in drawn


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("list", "--interval", "5s"), "--interval belongs to --watch"),
        (("status", "--watch", "--interval", "soon"), "--interval 'soon' is not a duration"),
        (("workers", "--watch", "--interval", "0s"), "--interval must be longer than zero"),
        (("tick", "clean", "--watch"), "a tick that is forced cannot be watched"),
    ],
)
def test_what_cannot_be_watched_is_refused(
    quick: Here, words: tuple[str, ...], message: str
) -> None:
    assert message in quick(*words).expect(2).err
