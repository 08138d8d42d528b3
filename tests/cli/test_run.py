"""Workers: draining, signals, exit statuses and logs."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any, Final

import psycopg
import pytest

from tests.cli.conftest import Inform, Rows
from tests.support.command_line import APPS, CommandLine, ended
from tests.support.embedded import until

#: Somebody waits to insert into the table of workers.
REGISTERING: Final = """
select from pg_locks
where not granted
and mode = 'RowExclusiveLock'
and relation = 'delta.delta_worker'::regclass
and database = (select oid from pg_database where datname = current_database())
"""


def states(rows: Rows) -> dict[str, str]:
    return {object_id: row["state"] for object_id, row in rows().items()}


def test_a_drain_works_all_that_is_due_and_exits_0(
    shop: CommandLine, inform: Inform, rows: Rows
) -> None:
    inform("a", "b", "c")
    done = shop("run", "--drain").expect(0)
    assert done.out == ""
    assert states(rows) == {"a": "synced", "b": "synced", "c": "synced"}


def test_a_drain_of_nothing_exits_0(shop: CommandLine) -> None:
    shop("run", "--drain").expect(0)


def test_an_application_of_ticks_alone_is_run(delta: CommandLine) -> None:
    app = ("--app", f"{APPS / 'ticking.py'}:config")
    delta("run", "--drain", *app).expect(0)
    with delta.started("run", *app) as process:
        until(lambda: delta("workers", "-o", "json").json())
        process.send_signal(signal.SIGTERM)
        assert ended(process).code == 0


def test_a_drain_exits_8_when_a_resource_failed(
    shop: CommandLine, inform: Inform, rows: Rows
) -> None:
    inform("a", b="bad", c="failing")
    done = shop("run", "--drain").expect(8)
    assert states(rows) == {"a": "synced", "b": "degraded", "c": "failed"}
    assert "hunter2" not in done.err
    assert "\x1b" not in done.err
    assert "work failed" in done.err


def test_a_later_drain_that_meets_no_failure_exits_0(shop: CommandLine, inform: Inform) -> None:
    inform(b="bad")
    shop("run", "--drain").expect(8)
    inform("a")
    shop("run", "--drain").expect(0)


def test_a_worker_takes_the_named_kinds_and_namespaces_only(
    shop: CommandLine, inform: Inform, rows: Rows
) -> None:
    inform("a")
    shop("inform", "item", "--object", '{"id": "b"}', "--namespace", "eu").expect(0)
    shop("run", "--drain", "--kind", "item", "--namespace", "eu").expect(0)
    assert states(rows) == {"a": "scheduled", "b": "synced"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--kind", "nothing"), "no controller works kind 'nothing'"),
        (("--namespace", "Bad Name"), "namespace 'Bad Name'"),
        (("--concurrency", "0"), "--concurrency"),
        (("--log-level", "loud"), "loud"),
    ],
)
def test_what_cannot_be_worked_is_refused(
    shop: CommandLine, words: tuple[str, ...], told: str
) -> None:
    done = shop("run", "--drain", *words)
    assert done.code in (1, 2)
    assert told in done.err
    assert "Traceback" not in done.err


def test_logs_are_json_on_request(shop: CommandLine, inform: Inform) -> None:
    inform(b="bad")
    done = shop("run", "--drain", "--log-format", "json").expect(8)
    events = [json.loads(line) for line in done.err.splitlines()]
    (failed,) = [event for event in events if event["event"] == "work failed"]
    assert failed["level"] == "error"
    assert (failed["kind"], failed["object_id"], failed["attempt"]) == ("item", "b", 1)
    assert "hunter2" not in done.err


@pytest.fixture
def waiting(inform: Inform, tmp_path: Path) -> Callable[[], bool]:
    """A resource whose work waits until it is released; whether its work has begun."""
    inform(w="waiting")
    return (tmp_path / "begun").exists


def test_concurrency_replaces_the_parallelism_of_a_kind(
    shop: CommandLine, inform: Inform, rows: Rows, tmp_path: Path
) -> None:
    inform(a="waiting", b="waiting", c="waiting")
    with shop.started("run", "--drain", "--concurrency", "2") as process:
        until((tmp_path / "begun").exists)
        until(lambda: list(states(rows).values()).count("pending") == 2)
        assert sorted(states(rows).values()) == ["pending", "pending", "scheduled"]
        (tmp_path / "release").touch()
        ended(process).expect(0)
    assert set(states(rows).values()) == {"synced"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_drains_and_exits_0(
    shop: CommandLine, waiting: Callable[[], bool], rows: Rows, tmp_path: Path, number: int
) -> None:
    with shop.started("run") as process:
        until(waiting)
        process.send_signal(number)
        assert process.stderr is not None
        said = ""
        while "draining" not in said:
            said += process.stderr.readline()
        assert process.poll() is None
        (tmp_path / "release").touch()
        ended(process).expect(0)
    assert states(rows) == {"w": "synced"}


@pytest.fixture
def starting(shop: CommandLine, dsn: str) -> Iterator[tuple[psycopg.Connection, Popen[str]]]:
    """A worker that cannot register before the connection's transaction ends."""
    shop("migrate").expect(0)
    with psycopg.connect(dsn) as other, psycopg.connect(dsn, autocommit=True) as observer:
        other.execute("lock table delta.delta_worker in share row exclusive mode")
        with shop.started("run") as process:
            until(lambda: observer.execute(REGISTERING).rowcount > 0)
            process.send_signal(signal.SIGTERM)
            assert process.stderr is not None
            while "draining" not in (line := process.stderr.readline()):
                assert line, "it has ended"
            yield other, process


def test_a_signal_while_a_worker_starts_drains_it_too(
    starting: tuple[psycopg.Connection, Popen[str]],
) -> None:
    other, process = starting
    other.rollback()
    assert ended(process).code == 0


def test_a_second_signal_while_a_worker_starts_ends_it_at_once(
    starting: tuple[psycopg.Connection, Popen[str]],
) -> None:
    _, process = starting
    process.send_signal(signal.SIGTERM)
    assert ended(process).code == 143


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)],
    ids=["term", "int", "hup"],
)
def test_a_second_signal_stops_at_once_and_gives_back(
    shop: CommandLine,
    waiting: Callable[[], bool],
    rows: Rows,
    number: int,
    code: int,
    request: pytest.FixtureRequest,
) -> None:
    # As it is unless the tests run under nohup, which processes inherit.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    request.addfinalizer(lambda: signal.signal(signal.SIGHUP, before))
    with shop.started("run") as process:
        until(waiting)
        process.send_signal(number)
        assert process.stderr is not None
        while "draining" not in process.stderr.readline():
            pass
        process.send_signal(number)
        done = ended(process).expect(code)
    assert "given back" in done.err
    row: dict[str, Any] = rows()["w"]
    assert (row["state"], row["attempt"]) == ("scheduled", 0)


def test_a_closed_terminal_ends_no_worker_that_was_started_with_nohup(
    shop: CommandLine, waiting: Callable[[], bool], tmp_path: Path
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which a child inherits
    try:
        with shop.started("run") as process:
            until(waiting)
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            while "draining" not in process.stderr.readline():
                pass
            (tmp_path / "release").touch()
            done = ended(process).expect(0)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert "stopping at once" not in done.err


def test_ctrl_c_while_the_program_is_imported_shows_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    begin = "from delta_cli.cli.entry import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", begin],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_a_drain_that_a_signal_ends_does_not_count_as_done(
    shop: CommandLine, waiting: Callable[[], bool], rows: Rows, tmp_path: Path
) -> None:
    with shop.started("run", "--drain") as process:
        until(waiting)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        while "draining" not in process.stderr.readline():
            pass
        (tmp_path / "release").touch()
        ended(process).expect(143)
    assert states(rows) == {"w": "synced"}


def test_a_hard_stop_ends_the_process_although_a_thread_hangs(
    shop: CommandLine, rows: Rows, tmp_path: Path
) -> None:
    shop("inform", "stuck", "--object", '{"id": "s"}').expect(0)
    with shop.started("run") as process:
        until((tmp_path / "begun").exists)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        while "draining" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGTERM)
        done = ended(process).expect(143)
    assert (
        "1 resources were given back unfinished; works that still run: 0 async, 1 in threads"
    ) in done.err
    assert states(rows) == {"s": "scheduled"}
