"""`delta run --processes`: children that are killed, a supervisor that is killed, and signals."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.line_pipe import LinePipe
from delta_cli.cli.restarting import AfterEnd, after_end, delay_before_restart
from delta_cli.cli.supervisor import Supervisor, without_processes
from tests.cli.conftest import Here, Inform, Rows
from tests.support.command_line import APPS, CommandLine
from tests.support.embedded import embedded_place, is_zombie, until
from tests.support.waiting import eventually

Event = dict[str, Any]


class Fleet:
    """A supervisor that runs, and what it and its children have logged so far."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.events: list[Event] = []

    def until(self, event: str, count: int = 1) -> list[Event]:
        """Wait until so many such events are logged. Returns them."""
        while len(self.named(event)) < count:
            assert self._read(), f"ended without {count} {event!r}: {self.events}"
        return self.named(event)

    def named(self, event: str) -> list[Event]:
        return [one for one in self.events if one["event"] == event]

    def ended(self, code: int) -> Event:
        """Wait for the end of all processes. Returns the summary."""
        while self._read():
            pass
        assert self.process.wait() == code, self.events
        return self.named("all worker processes ended")[-1]

    def working(self, count: int) -> list[int]:
        """Wait until so many children work. Returns their pids."""
        self.until("worker started", count)
        return [event["pid"] for event in self.until("worker process started", count)]

    def _read(self) -> bool:
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        if line:
            self.events.append(json.loads(line))
        return bool(line)


Start = Callable[..., contextlib.AbstractContextManager[Fleet]]


@pytest.fixture
def command_line(dsn: str, tmp_path: Path) -> CommandLine:
    environ = {"DELTA_DSN": dsn, "DELTA_APP": f"{APPS / 'fleet.py'}:config"}
    return CommandLine(tmp_path, {**environ, "SHOP_FOLDER": str(tmp_path)})


@pytest.fixture
def start(command_line: CommandLine) -> Start:
    """Start a fleet; whatever of it still runs at the end is killed."""

    @contextlib.contextmanager
    def start(processes: int, *words: str) -> Generator[Fleet]:
        options = ("--processes", str(processes), "--log-format", "json", *words)
        with command_line.started("run", *options) as process:
            fleet = Fleet(process)
            try:
                yield fleet
            finally:
                for event in fleet.named("worker process started"):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(event["pid"], signal.SIGKILL)

    return start


def states(rows: Rows) -> Counter[str]:
    return Counter(row["state"] for row in rows().values())


def pid_of_worker(dsn: str, worker_id: int) -> int:
    with psycopg.connect(dsn) as connection:
        query = "select pid from delta.delta_worker where id = %s"
        row = connection.execute(query, [worker_id]).fetchone()
    assert row is not None
    return row[0]


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return is_zombie(pid)


# Draining


def test_a_drain_with_failures_exits_8_and_tells_what_all_did(
    start: Start, inform: Inform, rows: Rows
) -> None:
    inform(*(f"good-{number}" for number in range(180)))
    inform(**{f"bad-{number}": "bad" for number in range(20)})
    with start(3, "--drain") as fleet:
        summary = fleet.ended(8)
    assert states(rows) == {"synced": 180, "degraded": 20}
    assert summary["processes"] == 3
    assert (summary["synced"], summary["failed"], summary["deleted"]) == (180, 20, 0)
    assert summary["restarts"] == 0
    assert 0 < summary["seconds"] < 100
    assert len(fleet.named("worker started")) == 3
    assert len(fleet.named("work failed")) == 20


def test_a_drain_without_failures_exits_0(start: Start, inform: Inform, rows: Rows) -> None:
    inform("a", "b")
    with start(2, "--drain") as fleet:
        assert fleet.ended(0)["synced"] == 2
    assert states(rows) == {"synced": 2}


def test_what_failed_before_a_drains_process_was_killed_still_counts(
    start: Start, inform: Inform, rows: Rows, tmp_path: Path
) -> None:
    inform(b="bad", w="waiting")
    with start(1, "--drain") as fleet:
        (pid,) = fleet.working(1)
        until((tmp_path / "begun").exists)
        until(lambda: rows()["b"]["state"] == "degraded")
        os.kill(pid, signal.SIGKILL)
        (tmp_path / "release").touch()
        summary = fleet.ended(8)
    assert states(rows) == {"synced": 1, "degraded": 1}
    assert (summary["restarts"], summary["synced"], summary["failed"]) == (1, 1, 0)


# Children that end


def test_a_killed_child_is_replaced_and_its_resources_are_worked(
    start: Start, inform: Inform, rows: Rows, tmp_path: Path, dsn: str
) -> None:
    inform(a="waiting", b="waiting")
    with start(2, "--concurrency", "1") as fleet:
        pids = fleet.working(2)
        until(lambda: states(rows) == {"pending": 2})
        victim = pid_of_worker(dsn, rows()["a"]["worker_id"])
        os.kill(victim, signal.SIGKILL)
        (died,) = fleet.until("worker process died")
        assert (died["pid"], died["signal"], died["restart_in_s"]) == (victim, "SIGKILL", 1.0)
        assert died["level"] == "warning"
        (tmp_path / "release").touch()
        started = fleet.working(3)
        assert set(started) > set(pids)
        until(lambda: states(rows) == {"synced": 2})
        fleet.process.send_signal(signal.SIGTERM)
        assert fleet.ended(0)["restarts"] == 1


def test_a_child_that_others_tell_to_stop_is_not_replaced(
    start: Start, inform: Inform, rows: Rows
) -> None:
    inform("a")
    with start(1) as fleet:
        (pid,) = fleet.working(1)
        until(lambda: states(rows) == {"synced": 1})
        os.kill(pid, signal.SIGTERM)
        assert fleet.ended(0)["restarts"] == 0


@pytest.mark.parametrize(
    ("environ", "code", "told"),
    [
        ({"DELTA_APP": "nothing_there:config"}, 2, "there is no module 'nothing_there'"),
        ({"DELTA_SCHEMA": "elsewhere"}, 7, "delta migrate"),
        ({"DELTA_DSN": "postgresql://u:hunter2@127.0.0.1:1/x?connect_timeout=2"}, 3, "127.0.0.1"),
    ],
    ids=["application", "schema", "server"],
)
def test_what_stops_every_process_is_told_once_and_ends_all(
    command_line: CommandLine, environ: dict[str, str], code: int, told: str
) -> None:
    done = command_line("run", "--processes", "3", environ=environ).expect(code)
    assert done.err.count("error:") == 1
    assert told in done.err
    assert done.err.count("worker process started") == 1
    assert "hunter2" not in done.err


def test_an_application_that_breaks_meanwhile_ends_all_with_2(
    start: Start, command_line: CommandLine, tmp_path: Path
) -> None:
    app = tmp_path / "breaking.py"
    app.write_text(f"import sys\nsys.path.insert(0, {str(APPS)!r})\nfrom fleet import config\n")
    command_line.environ["DELTA_APP"] = f"{app}:config"
    with start(2) as fleet:
        pids = fleet.working(2)
        app.write_text("config = None\n")
        os.kill(pids[0], signal.SIGKILL)
        fleet.until("worker process started", 3)
        fleet.process.wait(30)
        assert fleet.process.returncode == 2
        until(lambda: is_gone(pids[1]))


# Signals


def test_one_signal_drains_all_and_exits_0(
    start: Start, inform: Inform, rows: Rows, tmp_path: Path
) -> None:
    inform(a="waiting", b="waiting")
    with start(2, "--concurrency", "1") as fleet:
        pids = fleet.working(2)
        until(lambda: states(rows) == {"pending": 2})
        fleet.process.send_signal(signal.SIGTERM)
        fleet.until("draining")
        assert not any(map(is_gone, pids))
        (tmp_path / "release").touch()
        assert fleet.ended(0)["synced"] == 2
    assert states(rows) == {"synced": 2}
    assert all(map(is_gone, pids))


def test_two_signals_stop_all_at_once_and_give_back(
    start: Start, inform: Inform, rows: Rows
) -> None:
    inform(a="waiting", b="waiting")
    with start(2, "--concurrency", "1") as fleet:
        fleet.working(2)
        until(lambda: states(rows) == {"pending": 2})
        fleet.process.send_signal(signal.SIGTERM)
        fleet.until("draining")
        fleet.process.send_signal(signal.SIGTERM)
        fleet.ended(143)
    (returned,) = fleet.named("resources given back unfinished")
    assert returned["count"] == 2
    assert states(rows) == {"scheduled": 2}
    assert {row["attempt"] for row in rows().values()} == {0}


async def test_a_frozen_child_is_killed_some_time_after_the_hard_stop(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in command_line.environ.items():
        monkeypatch.setenv(name, value or "")
    caplog.set_level(logging.INFO, "delta_cli.cli.supervisor")
    supervisor = Supervisor(["run"], 1, drain=False, patience_s=0.1)
    running = asyncio.create_task(supervisor.run())
    # Only a process that has a handler lets a signal wait while it is frozen.
    await eventually(supervisor._any_works.is_set, within=60)
    (started,) = logged(caplog, "worker process started")
    os.kill(started.pid, signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGTERM)
    await eventually(lambda: logged(caplog, "draining"))
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(60):
        assert await running == 143
    (ended,) = logged(caplog, "worker process ended")
    assert (ended.pid, ended.signal) == (started.pid, "SIGKILL")


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[Any]:
    return [record for record in caplog.records if record.message == event]


def test_an_interrupt_of_the_whole_process_group_drains_only(
    command_line: CommandLine, inform: Inform, rows: Rows, tmp_path: Path
) -> None:
    inform(a="waiting")
    words = ["run", "--processes", "1", "--log-format", "json"]
    with subprocess.Popen(
        [sys.executable, "-m", "delta_cli.cli.app", *words],
        cwd=tmp_path,
        env={**os.environ, **{name: value or "" for name, value in command_line.environ.items()}},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        fleet = Fleet(process)
        fleet.working(1)
        until((tmp_path / "begun").exists)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does at Ctrl-C
        fleet.until("draining")
        (tmp_path / "release").touch()
        assert fleet.ended(0)["synced"] == 1
    assert states(rows) == {"synced": 1}


def test_children_of_a_killed_supervisor_finish_what_runs_and_end(
    start: Start, inform: Inform, rows: Rows, tmp_path: Path
) -> None:
    inform(a="waiting", b="waiting")
    with start(2, "--concurrency", "1") as fleet:
        pids = fleet.working(2)
        until(lambda: states(rows) == {"pending": 2})
        fleet.process.kill()
        fleet.until("supervisor lost", 2)
        assert not any(map(is_gone, pids))
        (tmp_path / "release").touch()
        until(lambda: all(map(is_gone, pids)))
    assert states(rows) == {"synced": 2}


def test_a_signal_before_anything_works_ends_as_it_ends_one_process(
    start: Start, command_line: CommandLine
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        command_line.environ["DELTA_DSN"] = f"postgresql://u@127.0.0.1:{port}/x"
        with start(2) as fleet:
            connection, _ = silent.accept()
            with connection:
                fleet.process.send_signal(signal.SIGTERM)
                fleet.ended(143)


# The command line, the embedded server, and the parts


@pytest.mark.parametrize("given", ["0", "-1", "1001"])
def test_a_number_of_processes_that_cannot_be_is_refused(here: Here, given: str) -> None:
    done = here("run", "--app", f"{APPS / 'shop.py'}:config", "--processes", given).expect(2)
    assert "--processes must be a whole number from 1 to 1000" in done.err
    assert f"got {given}" in done.err


def test_children_join_the_embedded_server_and_leave_it(tmp_path: Path) -> None:
    with embedded_place() as place:
        environ = {"DELTA_DATA_DIR": str(place), "DELTA_APP": f"{APPS / 'fleet.py'}:config"}
        delta = CommandLine(tmp_path, environ)
        done = delta("run", "--processes", "2", "--drain").expect(0)
        assert done.err.count("embedded Postgres") == 1
        assert done.err.count("worker started") == 2
        assert delta("db", "status", "-o", "json").json()["running"] is False


@pytest.mark.parametrize(
    "words",
    [
        ("--dsn", "x", "run", "--processes", "3", "--drain"),
        ("--dsn", "x", "run", "--processes=3", "--drain"),
        ("--dsn", "x", "run", "--drain", "--processes", "3", "--processes", "4"),
    ],
)
def test_children_run_the_same_words_but_for_the_number_of_processes(
    words: tuple[str, ...],
) -> None:
    assert without_processes(words) == ["--dsn", "x", "run", "--drain"]


def test_restarts_wait_twice_as_long_each_time_and_begin_anew_after_a_minute() -> None:
    delays: list[float | None] = [None]
    for _ in range(7):
        delays.append(delay_before_restart(delays[-1], lived_s=0.5))
    assert delays[1:] == [1, 2, 4, 8, 16, 30, 30]
    assert delay_before_restart(30, lived_s=59.9) == 30
    assert delay_before_restart(30, lived_s=60) == 1


@pytest.mark.parametrize(
    ("code", "drain", "any_worked", "expected"),
    [
        (0, False, True, AfterEnd.LEAVE),
        (0, True, True, AfterEnd.LEAVE),
        (ExitCode.SOME_FAILED, True, True, AfterEnd.LEAVE),
        (ExitCode.SOME_FAILED, False, True, AfterEnd.REPLACE),
        (ExitCode.USAGE, False, True, AfterEnd.END_ALL),
        (ExitCode.SCHEMA, True, True, AfterEnd.END_ALL),
        (ExitCode.NO_CONNECTION, False, False, AfterEnd.END_ALL),
        (ExitCode.NO_CONNECTION, False, True, AfterEnd.REPLACE),
        (ExitCode.FAILED, True, False, AfterEnd.REPLACE),
        (-signal.SIGKILL, True, True, AfterEnd.REPLACE),
        (ExitCode.TERMINATED, False, True, AfterEnd.REPLACE),
    ],
)
def test_what_follows_the_end_of_a_child(
    code: int, drain: bool, any_worked: bool, expected: AfterEnd
) -> None:
    assert after_end(code, drain=drain, any_worked=any_worked) is expected


async def test_a_line_is_handed_on_whole_however_it_was_written() -> None:
    received: list[bytes] = []
    pipe = LinePipe(received.append)
    os.write(pipe.write_end, b"a long ")
    os.write(pipe.write_end, b"line\nand another\nwithout")
    await eventually(lambda: received == [b"a long line\nand another\n"])
    os.write(pipe.write_end, b" end")
    pipe.close_write_end()
    await eventually(lambda: received[1:] == [b"without end\n"])
    pipe.close()
