"""Pause, resume, cancel, namespaces, workers, controllers and informs: data, talk and refusals."""

import asyncio
import getpass
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from delta_cli import Client
from tests.cli.conftest import Here, Inform, Rows
from tests.support.command_line import DEADLINE_S, CommandLine
from tests.support.engine import Stage, item_controller, quick_config

WORKER = [
    *("id", "host", "pid", "version", "state", "kinds", "namespaces", "in_flight", "capacity"),
    *("heartbeat_at", "heartbeat_age_s", "started_at", "synced", "failed", "deleted"),
    *("last_error", "paused", "silent"),
]
PAUSE = ["scope", "name", "reason", "actor", "created_at", "until"]
NAMESPACE = [
    *("name", "expiry_ttl_s", "max_workers", "fleet_max_workers", "synced_retention_s"),
    *("degraded_retention_s", "deleted_retention_s", "created_at", "updated_at", "paused"),
]
NOTHING_SET = {name: None for name in NAMESPACE if name.endswith(("_s", "max_workers"))}


def until(condition: Callable[[], Any]) -> None:
    """Wait until a process of its own has done something."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def registered(dsn: str) -> None:
    """The kind `item` has a controller with an informer."""

    async def register() -> None:
        controller = item_controller(Stage().work, inform=lambda _: [])
        async with Client(dsn, quick_config(controller)):
            pass

    asyncio.run(register())


# Pause and resume


def test_a_pause_is_told_listed_and_ended(quick: Here, inform: Inform) -> None:
    inform("a")
    words = ("pause", "kind", "item", "--for", "1h", "--reason", "the API is down", "-o", "json")
    done = quick(*words).expect(0)
    pause = done.json()
    assert list(pause) == PAUSE
    assert (pause["scope"], pause["name"], pause["reason"]) == ("kind", "item", "the API is down")
    assert pause["actor"] == getpass.getuser()
    assert pause["until"].endswith("Z")
    assert "delta resume kind item" in done.err
    assert quick("pause", "-o", "json").expect(0).json() == [pause]
    assert quick("pause", "list", "-o", "jsonl").expect(0).lines() == [pause]
    assert "the API is down" in quick("pause").expect(0).out
    assert quick("resume", "kind", "item", "-o", "json").expect(0).json() == pause
    assert quick("pause", "-o", "json").expect(0).json() == []
    assert "nothing is paused" in quick("pause").expect(0).err


def test_a_pause_without_an_end_lasts_until_it_is_resumed(quick: Here, inform: Inform) -> None:
    inform("a")
    words = ("pause", "namespace", "default", "--actor", "night shift", "-o", "json")
    pause = quick(*words).expect(0).json()
    assert (pause["until"], pause["reason"], pause["actor"]) == (None, None, "night shift")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("pause", "kind", "itme"), "kinds: item"),
        (("pause", "namespace", "eu"), "namespaces: default"),
        (("pause", "worker", "1"), "workers: none"),
        (("pause", "tick", "claen"), "ticks: clean, expire"),
        (("resume", "kind", "item"), "paused: none"),
        (("resume", "tick", "clean"), "paused: none"),
    ],
)
def test_what_is_not_there_or_not_paused_exits_5_and_says_what_is(
    quick: Here, inform: Inform, words: tuple[str, ...], hint: str
) -> None:
    inform("a")
    done = quick(*words).expect(5)
    assert done.out == ""
    assert f"hint: {hint}" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("pause", "kind", "item", "--for", "soon"), "--for 'soon' is not a duration"),
        (("pause", "kind", "item", "--for", "0s"), "--for must be longer than zero"),
        (("pause", "kind", "item", "--for", "9999d"), "at most 3650 days"),
        (("pause", "kind"), "no kind is named"),
        (("pause", "list", "item"), "list takes no name"),
        (("pause", "--reason", "none"), "list takes no name"),
        (("pause", "lane", "item"), "lane"),
        (("resume", "kind"), "NAME"),
    ],
)
def test_a_broken_pause_exits_2_and_pauses_nothing(
    quick: Here, inform: Inform, words: tuple[str, ...], message: str
) -> None:
    inform("a")
    done = quick(*words).expect(2)
    assert message in done.err
    assert quick("pause", "-o", "json").json() == []


def test_the_status_tells_what_is_paused(quick: Here, inform: Inform) -> None:
    inform("a")
    quick("pause", "kind", "item", "--actor", "ann", "--reason", "a \x1b[31mflood").expect(0)
    table = quick("status").expect(0).out.splitlines()
    assert table[0].startswith("kind 'item' is paused since 20")
    assert table[0].endswith("Z by ann: a \\x1b[31mflood")
    head, row = table[2].split(), table[4].split()
    assert row[head.index("paused")] == "yes"
    status = quick("status", "-o", "json").expect(0).json()
    assert [kind["paused"] for kind in status["kinds"]] == [True]
    assert status["pauses"] == quick("pause", "-o", "json").json()
    quick("resume", "kind", "item").expect(0)
    assert "is paused" not in quick("status").expect(0).out


def test_a_worker_leaves_what_is_paused_and_takes_it_when_that_is_resumed(
    shop: CommandLine, quick: Here, inform: Inform, rows: Rows
) -> None:
    inform("a")
    quick("pause", "kind", "item").expect(0)
    shop("run", "--drain").expect(0)
    assert rows()["a"]["state"] == "scheduled"
    with shop.started("run"):
        quick("resume", "kind", "item").expect(0)
        until(lambda: rows()["a"]["state"] == "synced")


# Cancel


def test_a_running_work_is_cancelled(
    shop: CommandLine, quick: Here, inform: Inform, rows: Rows, tmp_path: Path
) -> None:
    inform(a="waiting")
    with shop.started("run"):
        until((tmp_path / "begun").exists)
        done = quick("cancel", "item", "a", "--actor", "ann", "-o", "json").expect(0)
        assert (done.json()["object_id"], done.json()["state"]) == ("a", "pending")
        until(lambda: rows()["a"]["state"] == "failed")
    row = quick("get", "item", "a", "-o", "json").expect(0).json()
    assert row["errors"][0]["message"] == "cancelled by ann"
    assert row["errors"][0]["error"] == "Cancelled"
    assert "cancelled by ann" in row["timeline"][-1]["error"]
    assert row["timeline"][-1]["actor"] == "ann"


def test_a_work_that_does_not_run_is_not_cancelled(quick: Here, inform: Inform) -> None:
    inform("a")
    done = quick("cancel", "item", "a").expect(6)
    assert "item/a is unknown: cancel is refused" in done.err
    assert "there is no resource" in quick("cancel", "item", "a", "-n", "eu").expect(5).err


# Namespaces


def test_namespaces_are_set_and_listed(quick: Here) -> None:
    assert "there are no namespaces yet" in quick("namespaces").expect(0).err
    words = (*("--max-workers", "3"), *("--fleet-max-workers", "7"), *("--expiry-ttl", "5m"))
    row = quick("namespaces", "set", "eu", *words, "-o", "json").expect(0).json()
    assert list(row) == NAMESPACE
    given = {"max_workers": 3, "fleet_max_workers": 7, "expiry_ttl_s": 300.0}
    assert row.items() >= {**NOTHING_SET, **given, "name": "eu", "paused": False}.items()
    assert quick("namespaces", "-o", "json").expect(0).json() == [row]
    assert quick("namespaces", "list", "-o", "json").expect(0).json() == [row]
    assert "300" in quick("namespaces").expect(0).out


def test_what_is_not_named_stays_and_none_clears(quick: Here) -> None:
    retention = ("--synced-retention", "1h", "--degraded-retention", "2d")
    quick("namespaces", "set", "eu", "--max-workers", "3", *retention).expect(0)
    words = ("--max-workers", "none", "--deleted-retention", "90s")
    row = quick("namespaces", "set", "eu", *words, "-o", "json").expect(0).json()
    given = {"synced_retention_s": 3_600.0, "degraded_retention_s": 172_800.0}
    assert row.items() >= {**NOTHING_SET, **given, "deleted_retention_s": 90.0}.items()
    words = ("--synced-retention", "none", "--expiry-ttl", "1h")
    row = quick("namespaces", "set", "eu", *words, "-o", "json").expect(0).json()
    assert (row["synced_retention_s"], row["expiry_ttl_s"]) == (None, 3_600.0)
    row = quick("namespaces", "set", "eu", "--expiry-ttl", "0s", "-o", "json").expect(0).json()
    assert row["expiry_ttl_s"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("set", "eu", "--expiry-ttl", "soon"), "--expiry-ttl 'soon' is not a duration"),
        (("set", "eu", "--expiry-ttl", "99999d"), "expiry_ttl of namespace 'eu' must be at most"),
        (("set", "eu", "--max-workers", "0"), "--max-workers must be a whole number from 1"),
        (("set", "eu", "--max-workers", "10001"), "from 1 to 10000, got 10001"),
        (("set", "eu", "--fleet-max-workers", "many"), "--fleet-max-workers 'many' is not a whole"),
        (("set", "eu", "--synced-retention", "1h"), "exclude each other"),
        (("set", "E U", "--max-workers", "1"), "namespace 'E U' is not valid"),
        (("set", "eu"), "set takes a namespace and what to set"),
        (("set",), "set takes a namespace and what to set"),
        (("list", "eu"), "list takes no name"),
        (("--max-workers", "3"), "list takes no name"),
    ],
)
def test_broken_settings_exit_2_and_set_nothing(
    quick: Here, words: tuple[str, ...], message: str
) -> None:
    quick("namespaces", "set", "eu", "--expiry-ttl", "1h").expect(0)
    before = quick("namespaces", "-o", "json").json()
    done = quick("namespaces", *words).expect(2)
    assert message in done.err
    assert quick("namespaces", "-o", "json").json() == before


# Looking


def test_workers_are_listed_while_they_run_and_with_all_afterwards(
    shop: CommandLine, quick: Here
) -> None:
    assert quick("workers", "-o", "json").expect(0).json() == []
    assert "no workers run" in quick("workers").expect(0).err
    with shop.started("run", "--kind", "item") as process:
        until(lambda: quick("workers", "-o", "json").json())
        (worker,) = quick("workers", "-o", "json").expect(0).json()
        assert list(worker) == WORKER
        assert (worker["pid"], worker["state"], worker["kinds"]) == (
            process.pid,
            "running",
            ["item"],
        )
        assert worker["heartbeat_age_s"] >= 0
        assert str(process.pid) in quick("workers").expect(0).out
        words = ("pause", "worker", str(worker["id"]), "-o", "json")
        assert quick(*words).expect(0).json()["name"] == str(worker["id"])
        (again,) = quick("workers", "-o", "json").expect(0).json()
        assert (worker["paused"], again["paused"], again["state"]) == (False, True, "running")
        process.terminate()
        process.wait(DEADLINE_S)
    assert quick("workers", "-o", "json").expect(0).json() == []
    (worker,) = quick("workers", "--all", "-o", "json").expect(0).json()
    assert worker["state"] == "stopped"
    assert "workers: none" in quick("pause", "worker", str(worker["id"])).expect(5).err


def test_controllers_are_listed_with_their_limits(quick: Here, registered: None) -> None:
    quick("pause", "kind", "item").expect(0)
    (row,) = quick("controllers", "-o", "json").expect(0).json()
    assert list(row) == [
        *("kind", "inform_interval_s", "last_inform_time", "inform_due_at", "inform_failures"),
        *("parallelism", "fleet_parallelism", "object_schema", "registered_at", "paused"),
    ]
    assert (row["kind"], row["parallelism"], row["paused"]) == ("item", 1, True)
    assert "value" in row["object_schema"]["properties"]
    table = quick("controllers").expect(0).out
    assert "item" in table
    assert "properties" not in table


def test_without_controllers_a_person_is_told_what_to_do(quick: Here) -> None:
    assert quick("controllers", "-o", "json").expect(0).json() == []
    assert "delta run" in quick("controllers").expect(0).err


def test_inform_runs_are_listed_the_newest_first(quick: Here, registered: None) -> None:
    assert "no informer has run" in quick("informs").expect(0).err
    words = ("inform", "item", "--actor", "ann", "-o", "json")
    ids = [quick(*words).expect(0).json()["id"] for _ in range(3)]
    runs = quick("informs", "-o", "json").expect(0).json()
    assert [run["id"] for run in runs] == ids[::-1]
    assert (runs[0]["kind"], runs[0]["state"], runs[0]["seen"]) == ("item", "queued", 0)
    assert {run["requested_by"] for run in runs} == {"ann"}
    limited = quick("informs", "item", "--limit", "1", "-o", "json").expect(0).json()
    assert limited == runs[:1]
    assert "queued" in quick("informs").expect(0).out
    quick("informs", "--limit", "0").expect(2)


def test_informs_of_a_kind_that_is_not_there_exit_5(quick: Here, registered: None) -> None:
    done = quick("informs", "itme").expect(5)
    assert "did you mean 'item'?" in done.err


def test_hostile_reasons_reach_no_terminal(quick: Here, inform: Inform, dsn: str) -> None:
    inform("a")
    quick("pause", "kind", "item", "--reason", "\x1b]0;owned\x07\x1b[31m").expect(0)
    for form in ("table", "json", "csv", "markdown"):
        out = quick("pause", "-o", form).expect(0).out
        assert all(character.isprintable() or character == "\n" for character in out)
    with psycopg.connect(dsn) as connection:
        (reason,) = connection.execute("select reason from delta.delta_pause").fetchone() or ("",)
    assert reason == "\x1b]0;owned\x07\x1b[31m"
