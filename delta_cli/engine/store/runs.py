"""Inform runs: queue, claim, progress and end."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from delta_cli.engine.database import Connection
from delta_cli.engine.errors import NotFound
from delta_cli.engine.model.inform import InformCounts, InformRun
from delta_cli.engine.queries import controller as controller_queries
from delta_cli.engine.queries import inform_run as queries
from delta_cli.engine.settings import InformOptions
from delta_cli.engine.statements import Statement, Steps
from delta_cli.engine.store.rows import inform_run, options_from_json, options_to_json


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """An inform run that this worker has started."""

    id: int
    kind: str
    options: InformOptions
    requested_by: str
    watermark: datetime | None = None

    def is_complete(self, counts: InformCounts) -> bool:
        """Whether a run with these counts has stored all that is newer than the watermark."""
        after, limit = self.options.after, self.options.limit
        since_watermark = after is None or (self.watermark is not None and after <= self.watermark)
        listed_all = not self.options.labels and (limit is None or counts.seen < limit)
        return since_watermark and listed_all and not counts.refused


def queue_run(
    kind: str, options: InformOptions, *, requested_by: str, from_watermark: bool
) -> Steps[InformRun]:
    """Queue a run by hand. Raises NotFound for a kind that never had a controller."""
    known = [row[0] for row in (yield Statement(controller_queries.KINDS))]
    if kind not in known:
        raise NotFound(
            f"no controller has ever registered kind {kind!r}",
            hint=f"known kinds: {', '.join(known) or 'none'}",
        )
    rows = yield Statement(
        queries.QUEUE,
        {
            "kind": kind,
            "options": Jsonb(options_to_json(options, from_watermark=from_watermark)),
            "requested_by": requested_by,
        },
    )
    return inform_run(rows[0])


async def claim_run(
    connection: Connection,
    kinds: Sequence[str],
    *,
    worker_id: int,
    lease: timedelta,
    run_id: int | None = None,
) -> ClaimedRun | None:
    """Start the oldest queued run of these kinds, or the named one; None when there is none."""
    try:
        cursor = await connection.execute(
            queries.CLAIM,
            {
                "kinds": list(kinds),
                "worker_id": worker_id,
                "lease_s": lease.total_seconds(),
                "id": run_id,
            },
        )
    except UniqueViolation:
        return None  # somebody started another run of that kind at this moment
    row = await cursor.fetchone()
    if row is None:
        return None
    claimed_id, kind, options, requested_by, watermark = row
    asked = options_from_json(options, watermark)
    return ClaimedRun(claimed_id, kind, asked, requested_by, watermark)


async def record_progress(
    connection: Connection,
    run: ClaimedRun,
    *,
    worker_id: int,
    lease: timedelta,
    counts: InformCounts,
) -> bool:
    """Prolong a run and show its counts; False when it is ours no longer."""
    parameters: dict[str, Any] = asdict(counts)
    parameters |= {"id": run.id, "worker_id": worker_id, "lease_s": lease.total_seconds()}
    cursor = await connection.execute(queries.PROGRESS, parameters)
    return await cursor.fetchone() is not None


async def hold(connection: Connection, run: ClaimedRun, *, worker_id: int) -> bool:
    """Keep a run for the rest of this transaction; False when it is ours no longer."""
    cursor = await connection.execute(queries.HOLD, {"id": run.id, "worker_id": worker_id})
    return await cursor.fetchone() is not None


async def succeed(
    connection: Connection,
    run: ClaimedRun,
    *,
    worker_id: int,
    counts: InformCounts,
    newest: datetime | None,
    overlap: timedelta,
    error: str | None,
) -> None:
    """End a run well, and move the watermark to the newest object seen, less the overlap.

    A run that listed only a part leaves the watermark: what it never listed is still to come. So
    does one of which objects were refused, as `error` says: mended, they must be listed again.
    """
    await connection.execute(
        queries.SUCCEED,
        {
            "id": run.id,
            "worker_id": worker_id,
            "complete": run.is_complete(counts),
            "newest": newest,
            "overlap": overlap,
            "error": error,
        },
    )


async def fail(connection: Connection, run: ClaimedRun, *, worker_id: int, error: str) -> None:
    """End a run badly; the watermark stays."""
    await connection.execute(queries.FAIL, {"id": run.id, "worker_id": worker_id, "error": error})


async def interrupt(connection: Connection, run_id: int, *, worker_id: int | None) -> InformRun:
    """End a run that was given up, unless another worker runs it; returns it as it is then."""
    await connection.execute(queries.INTERRUPT, {"id": run_id, "worker_id": worker_id})
    return await get_run(connection, run_id)


async def get_run(connection: Connection, run_id: int) -> InformRun:
    """One run. Raises NotFound."""
    cursor = await connection.execute(queries.GET, {"id": run_id})
    row = await cursor.fetchone()
    if row is None:
        raise NotFound(f"there is no inform run {run_id}")
    return inform_run(row)


async def list_runs(connection: Connection, kind: str | None, *, limit: int) -> list[InformRun]:
    """The newest runs, of one kind or of all."""
    cursor = await connection.execute(queries.LIST, {"kind": kind, "limit": limit})
    return [inform_run(row) for row in await cursor.fetchall()]
