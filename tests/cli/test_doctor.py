"""`delta doctor` finds what is broken, says how to mend it, and changes nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from delta_cli.engine import doctor
from delta_cli.engine.doctor import Finding, Verdict
from delta_cli.engine.model.pause import Pause, PauseScope
from delta_cli.engine.store.doctor import (
    IndexFacts,
    InformerFacts,
    PauseFacts,
    ServerFacts,
    StuckFacts,
    TableFacts,
    TickFacts,
    WorkerFacts,
)
from tests.cli.conftest import Here, Inform
from tests.support.command_line import CommandLine
from tests.support.pooler import needs_pgbouncer, pgbouncer

SOUND = ServerFacts(
    version_num=180006,
    version="18.6",
    fsync=True,
    synchronous_commit="on",
    autovacuum=True,
    is_standby=False,
    clock=0.0,
    most_connections=100,
    connections=5,
    oldest_transaction_s=None,
)
NOTHING_STUCK = StuckFacts(overdue_leases=0, longest_due_s=None, degraded=0)
ONE_DUE = replace(NOTHING_STUCK, longest_due_s=1.0)
OVERDUE = TickFacts("clean", is_overdue=True, consecutive_failures=0, last_error=None)


def paused(*, waiting: int, days: float, ends: bool = False) -> PauseFacts:
    now = datetime.now(UTC)
    until = now + timedelta(days=1) if ends else None
    pause = Pause(PauseScope.KIND, "item", None, "ann", now - timedelta(days=days), until)
    return PauseFacts(pause, days * 86_400, waiting)


def findings(done: Any) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in done.json()}


def execute(dsn: str, query: LiteralString) -> None:
    with psycopg.connect(dsn, autocommit=True, options="-c search_path=delta") as connection:
        connection.execute(query)


def test_a_sound_database_has_no_problem(quick: Here) -> None:
    found = findings(quick("doctor", "-o", "json").expect(0))
    assert {one["verdict"] for one in found.values()} == {"ok"}
    assert list(found) == [
        *("connection", "server", "durability", "clock", "connections", "transactions", "pooler"),
        *("schema", "rights", "listen", "dead rows", "indexes", "workers", "pauses"),
        *("ticks", "informers", "resources"),
    ]
    assert all(one["fix"] is None for one in found.values())


def test_a_server_that_is_not_there_is_the_only_finding(nowhere: CommandLine) -> None:
    done = nowhere("doctor", "-o", "json").expect(1)
    assert findings(done).keys() == {"connection"}
    assert "hunter2" not in done.out + done.err


def test_a_schema_that_is_behind_is_a_problem_with_its_fix(here: Here, empty_dsn: str) -> None:
    found = findings(here("doctor", "-o", "json", "--dsn", empty_dsn).expect(1))
    assert found["schema"]["verdict"] == "problem"
    assert "delta migrate" in found["schema"]["fix"]
    assert "rights" not in found


def test_due_resources_that_nobody_works_are_a_problem(
    quick: Here, inform: Inform, dsn: str
) -> None:
    execute(dsn, "insert into delta_controller (kind, parallelism) values ('item', 1)")
    inform("a")
    found = findings(quick("doctor", "-o", "json").expect(1))
    assert found["workers"]["fix"] == "start one: delta run"


def test_what_is_due_behind_a_pause_is_told_and_is_no_problem(
    quick: Here, inform: Inform, dsn: str
) -> None:
    execute(dsn, "insert into delta_controller (kind, parallelism) values ('item', 1)")
    inform("a", "b")
    quick("pause", "namespace", "default", "--for", "1h", "--actor", "ann").expect(0)
    found = findings(quick("doctor", "-o", "json").expect(0))
    assert found["workers"]["verdict"] == "warning"
    assert found["workers"]["detail"] == "none runs, and 2 due resources wait behind pauses"
    assert found["resources"]["detail"] == "none is stuck; 2 due resources wait behind pauses"
    assert found["pauses"]["verdict"] == "ok"
    quick("pause", "namespace", "default", "--actor", "ann", "--reason", "a flood").expect(0)
    paused = findings(quick("doctor", "-o", "json").expect(0))["pauses"]
    assert paused["verdict"] == "warning"
    assert paused["detail"].startswith("namespace 'default' is paused since 20")
    assert paused["detail"].endswith(" by ann: a flood (2 due resources wait)")
    assert paused["fix"] == "if it is over: delta resume namespace default"


def test_a_paused_tick_is_told_as_paused_and_not_as_overdue(quick: Here, dsn: str) -> None:
    execute(
        dsn,
        "insert into delta_tick (name, interval_s, lock_id, next_due)"
        " values ('sweep', 60, 1, now() - interval '1 hour')",
    )
    found = findings(quick("doctor", "-o", "json").expect(0))
    assert found["ticks"]["detail"] == "overdue, since no worker runs: sweep"
    warned = [name for name, one in found.items() if one["verdict"] == "warning"]
    assert warned == ["workers"]  # one cause is one warning
    quick("pause", "tick", "sweep").expect(0)
    found = findings(quick("doctor", "-o", "json").expect(0))
    assert found["ticks"]["verdict"] == "ok"
    assert found["pauses"]["verdict"] == "warning"
    assert found["pauses"]["detail"].endswith("(it is due)")


def test_an_informer_of_which_objects_are_refused_or_that_fails_is_a_warning(
    shop: CommandLine,
) -> None:
    def examined(label: str, code: int = 0) -> dict[str, Any]:
        shop("inform", "item", "--foreground", "--label", label).expect(code)
        return findings(shop("doctor", "-o", "json").expect(0))["informers"]

    assert examined("refused=1")["detail"] == (
        "item: InvalidObject: 1 of 3 objects refused, so the watermark stays; "
        "the first: id of kind 'item' is empty"
    )
    failing = examined("fail=yes", 1)
    assert failing["detail"] == "item failed once: OSError: the shop is closed"
    assert failing["verdict"] == "warning"
    assert examined("refused=0")["verdict"] == "ok"


def test_each_informer_that_fails_is_named_in_the_way_out() -> None:
    failing = [InformerFacts("invoice", 1, 0, "no"), InformerFacts("user", 5, 0, "no")]
    way_out = doctor.of_informers(failing).fix
    assert way_out is not None
    assert way_out.endswith(": delta informs invoice, delta informs user")
    way_out = doctor.of_informers([*failing, InformerFacts("order", 0, 2, "no")]).fix
    assert way_out is not None and way_out.endswith(
        "; delta informs invoice, delta informs user, delta informs order"
    )


def test_claims_past_their_lease_and_failing_ticks_are_problems(
    quick: Here, inform: Inform, dsn: str
) -> None:
    inform("a")
    execute(
        dsn,
        "update delta_resource set state = 'pending', due_at = null, worker_id = 1, attempt = 1,"
        " attempted_at = now(), lease_until = now() - interval '5 minutes'",
    )
    execute(
        dsn,
        "insert into delta_tick (name, interval_s, lock_id, consecutive_failures, last_error)"
        " values ('sweep', 60, 1, 3, 'no broom')",
    )
    found = findings(quick("doctor", "-o", "json").expect(1))
    assert found["resources"]["fix"] == "delta tick rescue"
    assert "no broom" in found["ticks"]["detail"]


def test_a_role_without_rights_is_told_which(quick: Here, dsn: str) -> None:
    execute(dsn, "drop role if exists watcher")
    execute(dsn, "create role watcher login")
    try:
        execute(dsn, "grant usage on schema delta to watcher")
        execute(dsn, "grant select on all tables in schema delta to watcher")
        watching = make_conninfo(dsn, user="watcher")
        found = findings(quick("doctor", "-o", "json", "--dsn", watching).expect(1))
        assert found["rights"]["verdict"] == "problem"
        assert "delta_resource" in found["rights"]["fix"]
    finally:
        execute(dsn, "drop owned by watcher")
        execute(dsn, "drop role watcher")


@needs_pgbouncer
async def test_a_pooler_is_noticed(dsn: str, place: Path, worker_id: str) -> None:
    async with pgbouncer(place / f"pooler-{worker_id}", dsn) as pooled:
        found = {one.name: one async for one in doctor.examine(doctor.Database(pooled))}
    assert "a pooler stands between" in found["pooler"].detail
    assert found["listen"].verdict is Verdict.WARNING
    assert found["rights"].verdict is Verdict.OK


@pytest.mark.parametrize(
    ("finding", "verdict"),
    [
        (doctor.of_version(SOUND), Verdict.OK),
        (doctor.of_version(replace(SOUND, version_num=130_002)), Verdict.PROBLEM),
        (doctor.of_version(replace(SOUND, is_standby=True)), Verdict.PROBLEM),
        (doctor.of_durability(replace(SOUND, fsync=False)), Verdict.PROBLEM),
        (doctor.of_durability(replace(SOUND, synchronous_commit="off")), Verdict.WARNING),
        (doctor.of_durability(replace(SOUND, autovacuum=False)), Verdict.WARNING),
        (doctor.of_clock(-4.0), Verdict.OK),
        (doctor.of_clock(90.0), Verdict.WARNING),
        (doctor.of_connections(replace(SOUND, connections=90)), Verdict.WARNING),
        (doctor.of_connections(replace(SOUND, connections=100)), Verdict.PROBLEM),
        (doctor.of_transactions(replace(SOUND, oldest_transaction_s=7_200.0)), Verdict.WARNING),
        (doctor.of_tables([TableFacts("delta_resource", 100, 60_000, None)]), Verdict.WARNING),
        (doctor.of_tables([TableFacts("delta_resource", 99_000, 60_000, None)]), Verdict.OK),
        (doctor.of_indexes([IndexFacts("due", 200 * 1024**2, 10)], "delta"), Verdict.WARNING),
        (doctor.of_indexes([IndexFacts("due", 200 * 1024**2, 10**6)], "delta"), Verdict.OK),
        (doctor.of_workers(WorkerFacts(2, 0, 1), NOTHING_STUCK), Verdict.WARNING),
        (doctor.of_workers(WorkerFacts(2, 1, 0), NOTHING_STUCK), Verdict.WARNING),
        (doctor.of_ticks([OVERDUE], WorkerFacts(1, 0, 0)), Verdict.PROBLEM),
        (doctor.of_ticks([OVERDUE], WorkerFacts(0, 0, 0)), Verdict.OK),
        (doctor.of_workers(WorkerFacts(0, 0, 0), NOTHING_STUCK, [OVERDUE]), Verdict.WARNING),
        (doctor.of_workers(WorkerFacts(0, 0, 0), ONE_DUE, [OVERDUE]), Verdict.PROBLEM),
        (doctor.of_workers(WorkerFacts(1, 0, 0), NOTHING_STUCK, [OVERDUE]), Verdict.OK),
        (doctor.of_workers(WorkerFacts(2, 0, 0, 1), ONE_DUE), Verdict.OK),
        (doctor.of_workers(WorkerFacts(2, 0, 0, 2), NOTHING_STUCK), Verdict.OK),
        (doctor.of_workers(WorkerFacts(2, 0, 0, 2), ONE_DUE), Verdict.PROBLEM),
        (doctor.of_pauses([paused(waiting=0, days=9)]), Verdict.OK),
        (doctor.of_pauses([paused(waiting=5, days=0.5, ends=True)]), Verdict.OK),
        (doctor.of_pauses([paused(waiting=5, days=0.5)]), Verdict.WARNING),
        (doctor.of_pauses([paused(waiting=5, days=2, ends=True)]), Verdict.WARNING),
        (doctor.of_informers([InformerFacts("item", 0, 2, "no")]), Verdict.WARNING),
        (doctor.of_informers([InformerFacts("item", 3, 0, "no")]), Verdict.WARNING),
        (doctor.of_resources(replace(NOTHING_STUCK, longest_due_s=3_600.0)), Verdict.WARNING),
        (doctor.of_resources(replace(NOTHING_STUCK, degraded=1_000)), Verdict.WARNING),
    ],
)
def test_what_a_fact_means(finding: Finding, verdict: Verdict) -> None:
    assert finding.verdict is verdict
    assert (finding.fix is None) == (verdict is Verdict.OK)
