"""Workers that ended are told apart from those that are there, in words and in their order."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from delta_cli.dash.actions import plan_worker
from delta_cli.dash.screens.overview_health import health_text
from delta_cli.dash.screens.worker_rows import worker_rows, worker_text
from delta_cli.dash.snapshot import KindCounts, Snapshot, alerts
from delta_cli.dash.state import State
from delta_cli.engine.database import Database
from delta_cli.engine.model.fleet import ControllerRow, WorkerRow
from delta_cli.engine.model.pause import Pause, PauseScope
from delta_cli.engine.model.tick import TickRow
from delta_cli.engine.states import ResourceState
from delta_cli.engine.store import maintenance, workers
from delta_cli.engine.store.workers import WorkerIdentity, WorkerVitals
from tests.support.observing import Observer

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KIND = ControllerRow("item", 60.0, None, NOW, 0, 1, None, None, NOW, paused=False)
STATES = ("stopped", "running", "lost", "stopped", "draining")


def worker(number: int, state: str, beat_s: float = 1.0) -> WorkerRow:
    beat = NOW - timedelta(seconds=beat_s)
    return WorkerRow(
        *(number, "api", 100, "0.1.0", state, ["item"], None, 0, 10),
        *(beat - timedelta(seconds=722), beat, beat_s, 1, 0, 0, None),
    )


def shown_by(seen: Sequence[WorkerRow]) -> State:
    state = State("test")
    state.take_snapshot(Snapshot(at=NOW, workers=seen))
    return state


def test_who_is_missed_comes_first_and_who_stopped_last() -> None:
    state = shown_by([worker(number, one) for number, one in enumerate(STATES)])
    assert state.snapshot is not None
    rows = worker_rows(state.snapshot, NOW, state)
    assert [row.key for row in rows] == ["2", "1", "4", "0", "3"]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("running", "up 15m21"),
        ("stopped", "ran 12m02, ended 3m19 ago"),
        ("lost", "ran 12m02, last heard of 3m19 ago"),
    ],
)
def test_a_worker_that_ended_grows_no_older(state: str, words: str) -> None:
    one = worker(1, state, beat_s=199)
    shown = shown_by([one])
    assert shown.snapshot is not None
    assert words in worker_text(one, shown.snapshot, NOW).plain
    (row,) = worker_rows(shown.snapshot, NOW, shown)
    assert row.cells["started"][0] == ("15m21" if state == "running" else "12m02")


def test_the_health_counts_those_who_are_alive() -> None:
    seen = [worker(0, "running"), worker(1, "lost"), worker(2, "running", beat_s=40)]
    seen += [worker(number, "stopped") for number in range(3, 9)]
    assert "Workers 1/2 alive  !worker 2 is silent" in health_text(shown_by(seen), 70).plain


def test_workers_that_ended_are_not_missed() -> None:
    seen = [worker(0, "running"), worker(1, "running"), worker(2, "stopped")]
    assert "Workers 2/2 alive  all well" in health_text(shown_by(seen), 70).plain


def test_a_restart_of_the_server_makes_nobody_silent_at_once() -> None:
    one = worker(1, "running", beat_s=40)
    assert one.silent
    assert not replace(one, server_age_s=14).silent
    assert not replace(one, heartbeat_interval_s=30).silent
    assert replace(one, heartbeat_interval_s=1, server_age_s=14).silent


def tick(name: str, *, failures: int = 0) -> TickRow:
    """A tick whose next run has been due for an hour."""
    due = NOW - timedelta(hours=1)
    return TickRow(
        *(name, 10.0, 1, True, None, None, None, None, failures, None, None, None, None, None),
        *(due, None, False),
    )


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ([worker(1, "running")], ["tick sweep is overdue by 1h00"]),
        ([worker(1, "running", beat_s=40)], ["worker 1 is silent for 40s"]),
        ([worker(1, "stopped")], ["no worker runs"]),
        ([worker(1, "lost", beat_s=40)], ["no worker runs"]),
    ],
)
def test_that_nobody_works_is_told_once_and_not_by_each_overdue_tick(
    seen: Sequence[WorkerRow], told: list[str]
) -> None:
    ticks = (tick("sweep"), tick("rescue", failures=3))
    shown = alerts(Snapshot(at=NOW, workers=seen, ticks=ticks, controllers=(KIND,)))
    assert [one.text for one in shown if "lost" not in one.text] == [
        *told,
        "tick rescue failed 3 times in a row",
    ]


def test_what_is_amiss_now_is_told_before_what_was_lost_long_ago() -> None:
    seen = [worker(3, "lost", beat_s=521), worker(4, "lost", beat_s=90), worker(6, "running", 34)]
    kind = replace(KIND, inform_failures=8)
    pause = Pause(PauseScope.NAMESPACE, "eu", None, "cli:ana", NOW, None)
    ticks = (tick("audit", failures=5),)
    shown = alerts(Snapshot(NOW, workers=seen, ticks=ticks, controllers=(kind,), pauses=(pause,)))
    assert [(one.tab, one.key) for one in shown] == [
        *(("workers", "6"), ("ticks", "audit"), ("controllers", "item"), ("controllers", "eu")),
        *(("workers", "4"), ("workers", "3")),
    ]


def test_that_no_tick_runs_is_told_where_ticks_are_told_of() -> None:
    state = State("test")
    seen = [worker(1, "lost", beat_s=521), worker(2, "running", beat_s=34)]
    state.take_snapshot(Snapshot(NOW, workers=seen, ticks=(tick("sweep"), tick("rescue"))))
    told = health_text(state, 76).plain.splitlines()
    assert told == [
        "Workers 0/1 alive  !worker 2 is silent for 34s  !worker 1 was lost 8m41 ago",
        "Ticks   0/2  !none runs: no worker is alive",
    ]


def test_pausing_a_worker_that_ended_is_refused_with_a_word() -> None:
    seen = [worker(0, "running"), worker(1, "stopped"), worker(2, "lost")]
    assert plan_worker("pause", "0", seen).count == 1
    for key, word in (("1", "stopped"), ("2", "lost")):
        plan = plan_worker("pause", key, seen)
        assert plan.count == 0 and f"worker {key} is {word}" in plan.why_not
        assert plan_worker("resume", key, seen).count == 1


def test_all_of_a_kind_are_counted_as_a_list_of_them_counts() -> None:
    states = {ResourceState.SYNCED: 67, ResourceState.DELETED: 1}
    assert KindCounts("item", states, 0, None).total == 68


async def test_a_lost_worker_holds_nothing_in_flight_even_when_it_is_heard_of_again(
    dsn: str, observer: Observer
) -> None:
    identity = WorkerIdentity("api", 1, "0.1.0", ["item"], None, 4, 5.0)
    vitals = WorkerVitals(False, 3, 1, 0, 0, None, None, None)
    # Nobody is silent for longer than the server has run.
    briefly = timedelta(microseconds=1)
    for_lost = "select in_flight from delta_worker where id = %s and state = 'lost'"
    database = Database(dsn)
    await database.open()
    async with database.connection() as connection:
        one = await workers.register(connection, identity)
        await workers.heartbeat(connection, one, vitals)
        await observer.do("update delta_worker set heartbeat_at = '-infinity'")
        assert await maintenance.mark_lost_workers(connection, lost_after=briefly) == [one]
        assert await observer.value(for_lost, one) == 0
        assert await workers.heartbeat(connection, one, vitals) == "lost"
        assert await observer.value(for_lost, one) == 0
        is_old = "select heartbeat_at = '-infinity' from delta_worker where id = %s"
        assert await observer.value(is_old, one)
    await database.close()
