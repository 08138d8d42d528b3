"""`delta tick`: the list, a forced tick in every format, and every way it may end."""

import csv
import io
import json
import signal
import socket
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.cli.conftest import Here
from tests.support.command_line import APPS, CommandLine, ended
from tests.support.embedded import until

NAMES = [
    "name",
    "interval_s",
    "lock_id",
    "enabled",
    "last_start",
    "last_success",
    "last_failure",
    "last_error",
    "consecutive_failures",
    "last_skip",
    "last_skip_reason",
    "last_count",
    "count_key",
    "last_duration_ms",
    "next_due",
    "holder",
    "paused",
]
BUILT_IN = ["clean", "expire", "inform", "rebalance", "rescue"]
APP = ("--app", f"{APPS / 'ticking.py'}:config")


def forced(quick: Here, *words: str, code: int = 0) -> dict[str, Any]:
    return quick("tick", *words, "-o", "json").expect(code).json()


# The list


def test_a_fresh_database_lists_the_ticks_that_every_delta_has(quick: Here) -> None:
    done = quick("tick").expect(0)
    assert "no tick has ever run" in done.err
    assert "rebalance" in done.out
    listed = quick("tick", "-o", "json").expect(0).json()
    assert [one["name"] for one in listed] == BUILT_IN
    assert {(one["enabled"], one["last_start"], one["next_due"]) for one in listed} == {
        (True, None, None)
    }
    assert [one["interval_s"] for one in listed if one["name"] == "clean"] == [900]


def test_doctor_calls_no_tick_overdue_that_has_never_run(quick: Here) -> None:
    found = quick("doctor", "-o", "json").expect(0).json()
    assert [one["detail"] for one in found if one["name"] == "ticks"] == ["all run in time"]
    assert [one["verdict"] for one in found if one["name"] == "workers"] == ["ok"]


def test_the_list_shows_the_health_of_all(quick: Here) -> None:
    forced(quick, "rescue")
    forced(quick, *APP, "broken", code=1)
    listed = quick("tick", "-o", "json").expect(0).json()
    assert [list(one) for one in listed] == [NAMES] * 6
    broken, rescue = listed[0], listed[-1]
    assert (broken["name"], broken["interval_s"]) == ("broken", 3600)
    assert broken["last_failure"].endswith("Z")
    assert broken["last_success"] is None
    assert broken["consecutive_failures"] == 1
    assert (rescue["name"], rescue["last_count"], rescue["count_key"]) == ("rescue", 0, "rescued")
    assert rescue["enabled"] is True
    assert rescue["paused"] is False
    assert rescue["holder"] is None
    assert quick("tick", "-o", "jsonl").expect(0).lines() == listed
    header, *rows = csv.reader(io.StringIO(quick("tick", "-o", "csv").expect(0).out))
    assert (header, [row[0] for row in rows]) == (NAMES, ["broken", *BUILT_IN])
    table = quick("tick").expect(0).out
    assert "\x1b" not in table
    assert "\\x1b[31mred" in table
    assert quick("tick", "-o", "markdown").expect(0).out.startswith("| name ")


# A tick that runs


def test_a_forced_tick_prints_its_row_and_its_outcome(quick: Here) -> None:
    record = forced(quick, *APP, "nightly")
    assert list(record) == [*NAMES, "outcome"]
    assert (record["name"], record["outcome"], record["last_count"]) == ("nightly", "success", 3)
    assert record["last_start"] <= record["last_success"] < record["next_due"]
    again = forced(quick, *APP, "nightly")  # although it is not due
    assert again["last_start"] > record["last_start"]


def test_a_forced_tick_is_told_in_a_sentence(quick: Here) -> None:
    done = quick("tick", "clean").expect(0)
    assert done.out.startswith("clean: success, 0 cleaned, ")
    assert done.out.endswith(" ms\n")
    assert "no application is named: the tick has the default settings" in done.err
    assert "default settings" not in quick("tick", *APP, "clean").expect(0).err


def test_a_forced_tick_is_printed_in_every_format(quick: Here) -> None:
    (line,) = quick("tick", "expire", "-o", "jsonl").expect(0).lines()
    assert (line["name"], line["outcome"]) == ("expire", "success")
    (row,) = csv.DictReader(io.StringIO(quick("tick", "expire", "-o", "csv").expect(0).out))
    assert (list(row), row["outcome"]) == ([*NAMES, "outcome"], "success")
    markdown = quick("tick", "expire", "-o", "markdown").expect(0).out
    assert "| outcome " in markdown


@pytest.mark.parametrize("name", ["inform", "rescue", "expire", "clean", "rebalance"])
def test_the_built_in_ticks_need_no_application(quick: Here, name: str) -> None:
    assert forced(quick, name)["outcome"] == "success"


# A tick that fails


def test_a_tick_that_fails_exits_1_and_says_why_without_secrets(quick: Here) -> None:
    done = quick("tick", *APP, "broken").expect(1)
    assert done.out == "broken: failed\n"
    assert done.err.startswith("error: tick 'broken' failed: ValueError: no luck at")
    assert "hunter2" not in done.err
    assert "\x1b" not in done.err
    assert "Traceback" not in done.err
    assert forced(quick, *APP, "broken", code=1)["consecutive_failures"] == 2


def test_a_failure_is_json_where_the_rest_is(quick: Here) -> None:
    done = quick("tick", *APP, "broken", "-o", "json").expect(1)
    assert done.json()["outcome"] == "failed"
    error = json.loads(done.err)
    assert error["exit_code"] == 1
    assert "no luck" in error["message"]
    assert "hunter2" not in done.out + done.err


def test_the_traceback_of_a_failed_tick_is_shown_on_request(quick: Here) -> None:
    done = quick("tick", *APP, "broken", "--debug").expect(1)
    assert "Traceback" in done.err
    assert "ticking.py" in done.err
    assert "hunter2" not in done.err


# No such tick


def test_an_unknown_tick_exits_5_and_names_the_nearest(quick: Here) -> None:
    done = quick("tick", "clena").expect(5)
    assert "there is no tick 'clena'; did you mean 'clean'?" in done.err
    assert "ticks: clean, expire, inform, rebalance, rescue" in done.err
    assert "nightly" in quick("tick", *APP, "nigtly").expect(5).err


def test_a_tick_of_an_application_that_is_not_named_exits_5_and_asks_for_it(quick: Here) -> None:
    forced(quick, *APP, "nightly")
    done = quick("tick", "nightly").expect(5)
    assert "tick 'nightly' is not one of this process" in done.err
    assert "--app" in done.err


# A tick that is skipped


def test_a_tick_whose_lock_is_busy_exits_9_and_says_which_session_has_it(
    quick: Here, dsn: str
) -> None:
    lock_id = forced(quick, "clean")["lock_id"]
    with psycopg.connect(dsn, autocommit=True, application_name="night watch") as other:
        other.execute("select pg_advisory_lock(%s)", [lock_id])
        pid = other.info.backend_pid
        done = quick("tick", "clean").expect(9)
        assert done.out == "clean: skipped, lock busy\n"
        assert f"lock busy, held by server process {pid} 'night watch'" in done.err
        record = forced(quick, "clean", code=9)
        assert (record["outcome"], record["last_skip_reason"]) == ("skipped", "lock busy")
        assert record["consecutive_failures"] == 0
    until(lambda: quick("tick", "clean").code == 0)


def test_a_tick_that_runs_elsewhere_exits_9_and_names_the_process(
    here: Here, delta: CommandLine, dsn: str, tmp_path: Path
) -> None:
    environ = {"TICKING_FOLDER": str(tmp_path)}
    words = ("tick", *APP, "slow", "--actor", "ann", "-o", "json")
    with delta.started(*words, environ=environ) as process:
        until((tmp_path / "begun").exists)
        done = here("tick", *APP, "slow", environ={"DELTA_DSN": dsn, **environ}).expect(9)
        holder = f"{socket.gethostname()}:{process.pid} (ann)"
        assert f"lock busy, held by {holder} (server process " in done.err
        ticks = here("tick", "-o", "json", environ={"DELTA_DSN": dsn}).json()
        (listed,) = [one for one in ticks if one["name"] == "slow"]
        assert listed["holder"] == holder
        (tmp_path / "release").touch()
        first = ended(process).expect(0).json()
    assert (first["outcome"], first["holder"]) == ("success", None)
    (run,) = here("tick", "--runs", "slow", "-o", "json", environ={"DELTA_DSN": dsn}).json()
    assert run["holder"] == holder


def test_a_paused_tick_exits_9_until_it_is_resumed(quick: Here) -> None:
    forced(quick, "clean")
    quick("pause", "tick", "clean", "--reason", "night").expect(0)
    done = quick("tick", "clean").expect(9)
    assert "tick clean was skipped: paused" in done.err
    record = forced(quick, "clean", code=9)
    assert (record["paused"], record["last_skip_reason"]) == (True, "paused")
    quick("resume", "tick", "clean").expect(0)
    assert forced(quick, "clean")["outcome"] == "success"


def test_a_tick_that_is_switched_off_exits_9(quick: Here) -> None:
    done = quick("tick", *APP, "asleep").expect(9)
    assert "tick asleep was skipped: switched off" in done.err
    record = forced(quick, *APP, "asleep", code=9)
    assert (record["enabled"], record["last_skip_reason"]) == (False, "switched off")


def test_a_forced_tick_leaves_alone_what_operators_have_set(quick: Here) -> None:
    quick("namespaces", "set", "eu", "--max-workers", "2").expect(0)
    forced(quick, *APP, "nightly")
    (eu,) = quick("namespaces", "-o", "json").expect(0).json()
    assert (eu["name"], eu["max_workers"]) == ("eu", 2)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_tick_that_hangs_in_a_thread_can_be_interrupted(
    delta: CommandLine, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    environ = {"TICKING_FOLDER": str(tmp_path)}
    with delta.started("tick", *APP, "hanging", environ=environ) as process:
        until((tmp_path / "begun").exists)
        process.send_signal(number)
        done = ended(process).expect(code)
    assert "threads still run; the process ends without them" in done.err


# The last runs


def test_runs_are_listed_and_none_is_forced(quick: Here) -> None:
    forced(quick, *APP, "nightly")
    forced(quick, *APP, "broken", code=1)
    forced(quick, *APP, "nightly")
    runs = quick("tick", "--runs", "-o", "json").expect(0).json()
    assert [run["name"] for run in runs] == ["nightly", "broken", "nightly"]
    assert [run["outcome"] for run in runs] == ["success", "failed", "success"]
    assert "no luck" in runs[1]["error"]
    assert (runs[0]["count"], runs[0]["holder"].startswith(socket.gethostname())) == (3, True)
    of_one = quick("tick", "nightly", "--runs", "-o", "json").expect(0).json()
    assert of_one == [runs[0], runs[2]]
    assert "nightly" in quick("tick", "--runs").expect(0).out


def test_at_most_20_runs_are_listed(quick: Here, dsn: str) -> None:
    forced(quick, "clean")
    forced(quick, "expire")
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into delta.delta_tick_run (name, run_id, holder, started_at, outcome)"
            " select name, number, 'somewhere:1', now() - number * interval '1 s', 'success'"
            " from delta.delta_tick, generate_series(1, 15) as number"
        )
    runs = quick("tick", "--runs", "-o", "json").expect(0).json()
    assert [run["name"] for run in runs].count("clean") == 10
    assert len(runs) == 20
    assert runs == sorted(runs, key=lambda run: run["started_at"], reverse=True)


def test_a_tick_that_never_ran_has_no_runs_and_an_unknown_one_exits_5(quick: Here) -> None:
    assert quick("tick", "clean", "--runs", "-o", "json").expect(0).json() == []
    assert "tick clean has never run" in quick("tick", "clean", "--runs").expect(0).err
    done = quick("tick", "clena", "--runs").expect(5)
    assert "did you mean 'clean'?" in done.err
