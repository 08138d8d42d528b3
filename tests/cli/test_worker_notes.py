"""Workers that are silent, lost or not there at all are told of beside what is listed."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import LiteralString

import psycopg
import pytest

from delta_cli.cli.frame import Frame
from delta_cli.cli.output import Paper
from tests.cli.conftest import Here, Inform

Do = Callable[[LiteralString], None]
WORKER: LiteralString = """
insert into delta.delta_worker (
    host, pid, version, kinds, state, heartbeat_at, started_at, in_flight, capacity, stopped_at,
    heartbeat_interval_s
) values
"""
ALIVE: LiteralString = "('a-1', 11, '1', '{item}', 'running', now(), now(), 0, 4, null, 5)"
# However briefly the server has run, this one has missed its heartbeats.
SILENT: LiteralString = """
('b-2', 4711, '1', '{item}', 'running', now() - interval '70 s', now() - interval '1 h', 2, 4, null,
 0.001)
"""
SELDOM: LiteralString = """
('d-4', 14, '1', '{item}', 'running', now() - interval '70 s', now() - interval '1 h', 2, 4, null,
 30)
"""
LOST: LiteralString = """
('c-3', 13, '1', '{item}', 'lost', now() - interval '1 h', now() - interval '2 h', 0, 4,
 now() - interval '1 h', 5)
"""


@pytest.fixture
def do(dsn: str) -> Do:
    """Run one statement."""

    def run(statement: LiteralString) -> None:
        with psycopg.connect(dsn) as connection:
            connection.execute(statement)

    return run


@pytest.mark.parametrize("command", ["status", "workers"])
@pytest.mark.parametrize("form", ["table", "json"])
def test_a_worker_that_may_be_dead_is_not_told_to_run(
    quick: Here, do: Do, command: str, form: str
) -> None:
    do(WORKER + ALIVE + "," + SILENT)
    done = quick(command, "-o", form).expect(0)
    (told,) = [line for line in done.err.splitlines() if "worker" in line]
    assert "worker 2 has been silent for 7" in told
    assert "may be dead: process 4711 on b-2" in told
    if form == "table":
        assert ("silent" in done.out, done.out.count("running")) == (True, 1)
        return
    workers = done.json()["workers"] if command == "status" else done.json()
    assert [one["state"] for one in workers] == ["running", "running"]
    assert [one["silent"] for one in workers] == [False, True]


@pytest.mark.parametrize("command", ["status", "workers", "doctor"])
def test_a_worker_is_as_patiently_awaited_as_it_means_to_be_heard_of(
    quick: Here, do: Do, command: str
) -> None:
    do(WORKER + SELDOM)
    done = quick(command)
    assert "silent" not in done.out + done.err
    do("update delta.delta_worker set heartbeat_interval_s = 0.001")
    done = quick(command)
    assert "silent" in done.out + done.err


@pytest.mark.parametrize("command", ["status", "workers"])
def test_a_worker_that_was_lost_is_told_of(quick: Here, do: Do, command: str) -> None:
    do(WORKER + ALIVE + "," + LOST)
    told = "note: 1 worker was lost within a day: delta workers --all\n"
    assert told in quick(command).expect(0).err
    assert "note" not in quick("workers", "--all").expect(0).err
    do("update delta.delta_worker set stopped_at = now() - interval '2 d' where state = 'lost'")
    assert "lost" not in quick(command).expect(0).err


def test_the_status_says_that_nobody_is_alive_to_work_what_is_due(
    quick: Here, do: Do, inform: Inform
) -> None:
    inform("a", "b")
    do("update delta.delta_resource set state = 'scheduled', due_at = now()")
    expected = "no worker is alive, and 2 resources are due; start one with: delta run"
    assert expected in quick("status", "-o", "json").expect(0).err
    do(WORKER + SILENT)
    assert expected in quick("status").expect(0).err
    quick("pause", "kind", "item").expect(0)
    assert "no worker is alive" not in quick("status").expect(0).err
    quick("resume", "kind", "item").expect(0)
    do("update delta.delta_worker set heartbeat_at = now(), heartbeat_interval_s = 60")
    assert "no worker is alive" not in quick("status").expect(0).err


def test_a_remark_whose_age_alone_has_changed_makes_no_new_look() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    first, second, third = Frame(at), Frame(at), Frame(at)
    first.remark("silent for 70 s", "silent")
    second.remark("silent for 72 s", "silent")
    third.remark("lost", "lost")
    assert second.is_same_as(first)
    assert not third.is_same_as(second)


def test_a_pipe_is_told_a_remark_again_only_once_it_has_changed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    paper = Paper()
    looks = [("1 lost", "a"), ("1 lost", "b"), ("2 lost", "b"), (None, "b"), ("2 lost", "c")]
    told: list[str] = []
    for remark, record in looks:
        frame = Frame(datetime(2026, 1, 1, tzinfo=UTC))
        frame.see({"record": record})
        if remark is not None:
            frame.remark(f"{remark}, {record}", remark)
        paper.show(frame)
        told.append(capsys.readouterr().err)
    assert told == ["note: 1 lost, a\n", "", "note: 2 lost, b\n", "", "note: 2 lost, c\n"]
