"""The log of events on stdout."""

import asyncio
import os
import re
import signal
import time
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from delta_cli.engine.embedded import EmbeddedServer
from tests.cli.conftest import Here, Inform
from tests.support.command_line import CommandLine, ended
from tests.support.events import log_events
from tests.support.observing import Observer
from tests.support.waiting import eventually

EVENT = [
    *("id", "at", "category", "namespace", "kind", "object_id", "state", "attempt"),
    *("max_attempts", "generation", "sync_count", "worker", "duration_ms", "error", "actor"),
]


@pytest.fixture
def logged(shop: CommandLine, inform: Inform) -> CommandLine:
    """`delta` where a and b were synced and bad has failed."""
    inform("a", "b", bad="bad")
    shop("run", "--drain").expect(8)
    return shop


def read(quick: Here, *words: str) -> list[str]:
    done = quick("subscribe", "--no-follow", *words, "-o", "jsonl").expect(0)
    return sorted(event["object_id"] for event in done.lines())


def test_events_have_their_documented_shape(logged: CommandLine) -> None:
    events = logged("subscribe", "--since", "0", "--no-follow", "-o", "json").expect(0).json()
    assert [list(event) for event in events] == [EVENT] * 3
    assert {event["category"] for event in events} == {"object_synced", "object_failed"}


@pytest.mark.usefixtures("logged")
def test_events_are_chosen_by_category_kind_and_namespace(quick: Here) -> None:
    assert read(quick, "--since", "0") == ["a", "b", "bad"]
    assert read(quick, "--since", "0", "-c", "object_failed") == ["bad"]
    assert read(quick, "--since", "0", "-c", "object_failed", "-c", "object_synced") == [
        *("a", "b", "bad")
    ]
    assert read(quick, "--since", "0", "-k", "other") == []
    assert read(quick, "--since", "0", "-n", "eu") == []


@pytest.mark.usefixtures("logged")
def test_events_begin_where_asked(quick: Here) -> None:
    assert read(quick) == []
    assert len(read(quick, "--since", "1")) == 2
    assert len(read(quick, "--since", "5m")) == 3
    assert len(read(quick, "--since", "2026-01-01T00:00:00Z")) == 3
    assert read(quick, "--since", "2999-01-01") == []
    assert len(read(quick, "--since", "0", "--limit", "2")) == 2


@pytest.mark.parametrize("form", ["table", "csv", "markdown"])
@pytest.mark.usefixtures("logged")
def test_other_formats_have_a_header_and_a_line_an_event(quick: Here, form: str) -> None:
    done = quick("subscribe", "--since", "0", "--no-follow", "-o", form).expect(0)
    lines = done.out.splitlines()
    assert len(lines) == (5 if form == "markdown" else 4)
    assert "object_id" in lines[0]


def test_events_are_printed_at_once_and_an_interrupt_tells_where_to_go_on(
    shop: CommandLine, inform: Inform
) -> None:
    inform("a")
    with shop.started("subscribe", "--since", "0", "-o", "jsonl") as process:
        assert process.stdout is not None
        shop("run", "--drain").expect(0)
        assert '"object_id": "a"' in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        done = ended(process).expect(130)
    assert "--since 1" in done.err


def test_a_reader_that_goes_away_ends_it_quietly_although_nothing_happens(
    logged: CommandLine,
) -> None:
    with logged.started("subscribe", "--since", "0", "-o", "jsonl") as process:
        assert process.stdout is not None
        process.stdout.readline()
        began = time.monotonic()
        os.close(os.dup(process.stdout.fileno()))
        process.stdout.close()
        assert process.wait(20) == 0
        assert time.monotonic() - began < 20
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.usefixtures("logged")
def test_a_name_goes_on_after_what_it_has_printed(quick: Here) -> None:
    name = ("--name", "audit")
    assert read(quick, *name) == []  # from now
    assert read(quick, *name, "--since", "0", "--limit", "2") == ["a", "b"]
    assert read(quick, *name) == ["bad"]
    assert read(quick, *name) == []
    assert read(quick, *name, "--since", "2") == ["bad"]  # set anew


@pytest.mark.usefixtures("logged")
def test_a_name_that_is_not_one_is_refused(quick: Here) -> None:
    done = quick("subscribe", "--name", "no name", "--no-follow").expect(2)
    assert "'no name'" in done.err


def test_an_interrupt_counts_what_was_printed_as_handled(logged: CommandLine) -> None:
    name = ("--name", "audit", "-o", "jsonl")
    with logged.started("subscribe", "--since", "0", *name) as process:
        assert process.stdout is not None
        assert [bool(process.stdout.readline()) for _ in range(3)] == [True] * 3
        process.send_signal(signal.SIGINT)
        done = ended(process).expect(130)
    assert "--name audit" in done.err
    assert logged("subscribe", "--no-follow", *name).expect(0).out == ""


async def test_an_interrupted_array_is_printed_before_it_counts_as_handled(
    logged: CommandLine, dsn: str
) -> None:
    words = ("subscribe", "--name", "audit", "-o", "json")
    observer = await Observer.connect(dsn)
    reads: set[object] = set()

    async def first_page_is_taken() -> bool:
        reads.update(await observer.rows(READS))
        return len(reads) > 1

    # More than a pipe takes before its reader has to read.
    await log_events(observer, 697)
    with logged.started(*words, "--since", "0", "--limit", "999") as process:
        await eventually(first_page_is_taken, within=30)
        assert await observer.value("select position from delta_subscription") == 0
        process.send_signal(signal.SIGINT)
        done = await asyncio.to_thread(lambda: ended(process).expect(130))
    await observer.connection.close()
    assert len(done.out) > 100_000
    assert [event["id"] for event in done.json()] == list(range(1, 701))
    rest = await asyncio.to_thread(lambda: logged(*words, "--no-follow").expect(0))
    assert rest.json() == []


#: When somebody else has begun to read a page of the log, the last time.
READS: LiteralString = """
select query_start from pg_stat_activity
where pid <> pg_backend_pid()
and datname = current_database()
and query like '%%) as reached%%'
"""


@pytest.mark.usefixtures("logged")
def test_a_gap_is_told_on_stderr_and_is_no_event(quick: Here, dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("delete from delta.delta_event where id <= 2")
    done = quick("subscribe", "--since", "1", "--no-follow", "-o", "json").expect(0)
    assert [event["id"] for event in done.json()] == [3]
    assert "1 events are gone" in done.err


def test_a_table_has_colour_on_a_terminal_only(logged: CommandLine) -> None:
    words = ("subscribe", "--since", "0", "--no-follow")
    code, shown = logged.on_terminal(*words, columns=250)
    assert code == 0
    assert "\x1b[32msynced\x1b[0m" in shown
    _, plain = logged.on_terminal(*words, columns=250, environ={"NO_COLOR": "1"})
    assert "\x1b" not in plain
    assert logged(*words).expect(0).out == plain == re.sub("\x1b\\[[0-9]+m", "", shown)


def test_a_server_that_goes_away_and_comes_back_is_told_in_a_line_each(
    own_server: EmbeddedServer, tmp_path: Path
) -> None:
    delta = CommandLine(tmp_path, {"DELTA_DSN": own_server.dsn})
    log_one(own_server.dsn, "before")
    with delta.started("subscribe", "--since", "0", "-o", "jsonl") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert '"before"' in process.stdout.readline()
        own_server.stop(force=True)
        while "database away, waiting" not in process.stderr.readline():
            assert process.poll() is None
        own_server.join()
        log_one(own_server.dsn, "after")
        assert '"after"' in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        done = ended(process).expect(130)
    told = [line for line in done.err.splitlines() if "database" in line]
    assert len(told) == 1
    assert "database is back" in told[0]


def log_one(dsn: str, object_id: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into delta.delta_event (category, resource_id, namespace, kind, object_id,"
            " state, attempt, max_attempts, generation, sync_count)"
            " values ('object_synced', 1, 'default', 'item', %s, 'synced', 1, 10, 1, 1)",
            [object_id],
        )


def test_a_since_beyond_the_newest_event_is_told(quick: Here, inform: Inform) -> None:
    inform("a")
    beyond = quick("subscribe", "--since", "99999999", "--no-follow").expect(0)
    assert "note: --since 99999999 is beyond the newest event, " in beyond.err
    assert quick("subscribe", "--since", "0", "--no-follow").expect(0).err == ""
