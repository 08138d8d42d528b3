"""How long each tick's pass takes on a million rows, with and without something to do.

    python benchmarks/passes.py [--rows 1000000] [--rounds 5] [--only rescue ...]

The tables are filled by SQL; each pass is the tick itself, forced in this process. Where a round is
cheap, the figure is a median over the rounds. What takes longer than `--limit` seconds is given up.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, LiteralString

import psycopg
from support import KIND, ItemController, R, fresh_schema, peak_memory_mb, run_loop

from delta_cli import Client, Config, TickOutcome
from delta_cli.engine.embedded import EmbeddedServer

DAY = timedelta(days=1)
#: No pass overruns its interval, and one of `clean` does it all, leaving nothing to the next.
UNHURRIED = Config(
    maintenance_interval=DAY, rescue_interval=DAY, cleaner_interval=DAY, cleaner_timeout=DAY
)
#: Quotas and workers of the rebalance: each worker has a grant of each quota.
QUOTAS = 10
WORKERS = 200
SLOTS = 5_000
#: The due rows that must not wait for a million of another namespace.
FEW = 100

NAMESPACE: LiteralString = "insert into delta.delta_namespace (name, expiry_ttl) values (%s, %s)"
CONTROLLER: LiteralString = """
insert into delta.delta_controller (kind, parallelism) values (%s, 1000)
"""
# In each state, rows as the engine leaves them. What is not due and not pending was touched
# `age` ago.
FILL: LiteralString = """
insert into delta.delta_resource (
    namespace, kind, object_id, state, max_attempts, attempt, term, due_at, lease_until, worker_id,
    attempted_at, synced_at, synced_generation, updated_at, object, hash
)
select
    %(namespace)s, %(kind)s, %(state)s || '-' || number, %(state)s::delta.delta_resource_state, 10,
    (%(state)s = 'pending')::int, 1,
    case when %(state)s in ('scheduled', 'failed') then now() + %(due_in)s end,
    case when %(state)s = 'pending' then now() + interval '1 day' end,
    case when %(state)s = 'pending' then %(worker_id)s::bigint end,
    now() - %(age)s, now() - %(age)s, 1, now() - %(age)s,
    jsonb_build_object(
        'key', 'item-' || number, 'version', 1, 'name', 'Ada Lovelace',
        'email', 'ada@example.org', 'plan', 'enterprise'
    ),
    sha256(number::text::bytea)
from generate_series(1, %(rows)s) as number
"""
WORKERS_OF: LiteralString = """
insert into delta.delta_worker (host, pid, version, state, kinds, capacity, heartbeat_at)
select 'bench', number, '0', %(state)s, %(kinds)s, 100, now() + interval '1 day'
from generate_series(1, %(workers)s) as number
returning id
"""
INFORMED_KINDS: LiteralString = """
insert into delta.delta_controller (kind, parallelism, inform_interval, inform_due_at)
select 'informed-' || number, 1, interval '1 hour', now() from generate_series(1, %s) as number
"""
INFORM_AGAIN: LiteralString = """
with forgotten as (delete from delta.delta_inform)
update delta.delta_controller set inform_due_at = now() where inform_interval is not null
"""
LIMITED_KINDS: LiteralString = """
insert into delta.delta_controller (kind, parallelism, fleet_parallelism)
select 'limited-' || number, 100, %s from generate_series(1, %s) as number
"""
# As workers that have just come take notice of the limits.
ENROLL: LiteralString = """
insert into delta.delta_grant (worker_id, scope, name, capacity)
select worker.id, 'kind', controller.kind, 100
from delta.delta_worker as worker
join delta.delta_controller as controller on controller.kind = any(worker.kinds)
where controller.fleet_parallelism is not null
on conflict (worker_id, scope, name) do update set target = 0, granted = 0
"""
DONE: LiteralString = """
select count(*)
from delta.delta_resource
where namespace = 'small' and state = 'synced' and due_at is null and lease_until is null
"""


def show(name: str, seconds: float, count: int, what: str) -> None:
    """One line of the report."""
    rate = f"{count / seconds:>12,.0f} /s" if count else ""
    print(f"{name:<44}{1000 * seconds:>12,.1f} ms {count:>12,} {what:<10}{rate}", flush=True)


class Bench:
    """The measurements, all against one server."""

    def __init__(self, dsn: str, rows: int, rounds: int, limit_s: float) -> None:
        self.dsn: str = dsn
        self.rows: int = rows
        self.rounds: int = rounds
        self.limit_s: float = limit_s

    # Passes that have something to do with every row

    def rescue(self) -> None:
        """All claims of a worker that was given up."""
        worker_id = self._fresh(worker_state="lost")
        self._fill("pending", self.rows, worker_id=worker_id)
        self._measure("rescue: a dead worker's claims", "rescue", self.rows, "rows")

    def expire(self) -> None:
        """A whole namespace, past its TTL at once."""
        self._fresh(expiry_ttl=timedelta(hours=1))
        self._fill("synced", self.rows, age=2 * DAY)
        self._measure("expire: a whole namespace", "expire", self.rows, "rows")

    def clean(self) -> None:
        """Deleted rows past their retention."""
        self._fresh()
        self._fill("deleted", self.rows, age=2 * DAY)
        self._measure("clean: past their retention", "clean", self.rows, "rows")

    # Passes over other tables

    def inform(self) -> None:
        """As many kinds as have an informer whose interval has passed."""
        kinds = max(1, self.rows // 100)
        self._fresh()
        self._do(INFORMED_KINDS, [kinds])
        name = "inform: kinds whose interval has passed"
        self._measure(name, "inform", kinds, "runs", again=lambda: self._do(INFORM_AGAIN))

    def rebalance(self) -> None:
        """All slots of the quotas among all workers, from nothing."""
        self._fresh()
        self._do(LIMITED_KINDS, [SLOTS, QUOTAS])
        kinds = [f"limited-{number + 1}" for number in range(QUOTAS)]
        self._do(WORKERS_OF, {"kinds": kinds, "workers": WORKERS, "state": "running"})
        self._do(ENROLL)
        name = f"rebalance: {QUOTAS} quotas, {WORKERS} workers"
        slots = QUOTAS * SLOTS
        self._measure(name, "rebalance", slots, "slots", again=lambda: self._do(ENROLL))

    def idle(self) -> None:
        """Every tick where nothing is to be done, on rows of all kinds that may wait."""
        worker_id = self._fresh(expiry_ttl=DAY)
        pending, failed, degraded = min(1_000, self.rows // 100), self.rows // 10, self.rows // 10
        self._fill("pending", pending, worker_id=worker_id)
        self._fill("failed", failed, due_in=DAY)
        self._fill("degraded", degraded)
        self._fill("synced", self.rows - pending - failed - degraded)
        for tick in ("rescue", "expire", "clean", "inform", "rebalance"):
            name = f"{tick}: nothing to do, {self.rows:,} rows"
            self._measure(name, tick, 0, "", again=lambda: None)

    def _measure(
        self, name: str, tick: str, count: int, what: str, again: Callable[[], None] | None = None
    ) -> None:
        """One round, or the median of all where they can be done `again`. Each does `count`."""
        times: list[float] = []
        for number in range(self.rounds if again else 1):
            if again and number:
                again()
            seconds, done = self._run(self._tick(tick))
            assert done == count, f"{tick} did {done:,}, not {count:,}"
            times.append(seconds)
        show(name, statistics.median(times), count, what)

    async def _tick(self, name: str) -> tuple[float, int]:
        """Force one tick. Returns the seconds that its pass took, and what it counted."""
        async with Client(self.dsn, UNHURRIED) as client:
            outcome = await client.tick(name)
            row = next(row for row in await client.ticks() if row.name == name)
        assert outcome is TickOutcome.SUCCESS, f"{name}: {row.last_error or row.last_skip_reason}"
        assert row.last_duration_ms is not None and row.last_count is not None
        return row.last_duration_ms / 1000, row.last_count

    # Fairness

    def fairness(self) -> None:
        """The time until the few of one namespace are done, alone and beside all the rows."""
        for beside in (0, self.rows):
            self._fresh()
            self._do(NAMESPACE, ["small", None])
            self._fill("scheduled", beside)
            self._fill("scheduled", FEW, namespace="small")
            seconds = self._run(self._seconds_until_few_are_done())
            show(f"{FEW} due beside {beside:,} of another namespace", seconds, FEW, "rows")

    async def _seconds_until_few_are_done(self) -> float:
        async with (
            await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection,
            Client(self.dsn, Config(controllers=[ItemController()])) as client,
        ):
            began = time.perf_counter()
            await client.start()
            while await (await connection.execute(DONE)).fetchone() != (FEW,):
                await asyncio.sleep(0.01)
            seconds = time.perf_counter() - began
            await client.stop(hard=True)
        return seconds

    # Rows and ticks

    def _fresh(self, *, expiry_ttl: timedelta | None = None, worker_state: str = "running") -> int:
        """An empty schema with a namespace, a kind, and a worker, whose id is returned."""
        fresh_schema(self.dsn)
        self._do(NAMESPACE, ["default", expiry_ttl])
        self._do(CONTROLLER, [KIND])
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            values = {"kinds": [KIND], "workers": 1, "state": worker_state}
            row = connection.execute(WORKERS_OF, values).fetchone()
        assert row is not None
        return row[0]

    def _fill(
        self,
        state: str,
        rows: int,
        *,
        namespace: str = "default",
        worker_id: int | None = None,
        age: timedelta = timedelta(0),
        due_in: timedelta = timedelta(0),
    ) -> None:
        values = {
            "state": state,
            "rows": rows,
            "kind": KIND,
            "namespace": namespace,
            "worker_id": worker_id,
            "age": age,
            "due_in": due_in,
        }
        self._do(FILL, values)
        self._do("vacuum analyze delta.delta_resource")
        self._do("checkpoint")

    def _do(
        self, statement: LiteralString, values: Sequence[Any] | Mapping[str, Any] | None = None
    ) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(statement, values)

    def _run(self, main: Coroutine[Any, Any, R]) -> R:
        """Run within the limit, or raise TimeoutError."""
        return run_loop(asyncio.wait_for(main, self.limit_s))


PARTS: dict[str, Callable[[Bench], None]] = {
    "rescue": Bench.rescue,
    "expire": Bench.expire,
    "clean": Bench.clean,
    "inform": Bench.inform,
    "rebalance": Bench.rebalance,
    "idle": Bench.idle,
    "fairness": Bench.fairness,
}


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for each measurement")
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    with TemporaryDirectory(
        prefix="delta-bench-", dir="/var/tmp", ignore_cleanup_errors=True
    ) as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedServer(Path(folder) / "postgres")
        try:
            bench = Bench(server.join(), options.rows, options.rounds, options.limit)
            for name, part in PARTS.items():
                if not options.only or name in options.only:
                    try:
                        part(bench)
                    except TimeoutError:
                        print(f"{name}: not within {options.limit:g} s", flush=True)
            print(f"this process held {peak_memory_mb():,.0f} MB at its peak")
        finally:
            server.leave()


if __name__ == "__main__":
    main()
