"""Queues a run of a kind's informer, and waits for it where asked."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from delta_cli.cli import output
from delta_cli.cli.application import not_started
from delta_cli.cli.durations import parse_duration, parse_moment
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.failed_since import any_failed_since
from delta_cli.cli.nearest import check_kind_known
from delta_cli.cli.output import Format
from delta_cli.cli.records import inform_run_record
from delta_cli.cli.session import open_client
from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import note, note_dry_run, say, warn
from delta_cli.engine.errors import ConfigError, NotFound, WaitTimeout
from delta_cli.engine.model.inform import InformRun, InformRunState
from delta_cli.engine.settings import InformOptions

if TYPE_CHECKING:
    from delta_cli.engine.client import Client
    from delta_cli.engine.config import Config

_POLL_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the command line asks of the run."""

    after: str | None
    everything: bool
    limit: int | None
    labels: Sequence[str]
    order_by: str | None
    process_existing: bool
    foreground: bool
    wait: bool
    timeout: str | None
    actor: str
    dry_run: bool


async def queue_run(
    settings: Settings,
    config: "Config | None",
    kind: str,
    asked: RunOptions,
    output_format: Format,
) -> ExitCode:
    """Queue the run and print it.

    Exit 1 when it was waited for and failed, 8 when resources that were worked here did.
    """
    labels = _labels(asked.labels)
    if asked.foreground and asked.wait:
        raise ConfigError(
            "--foreground and --wait exclude each other", hint="--foreground waits by itself"
        )
    if asked.timeout is not None and not asked.wait:
        raise ConfigError("--timeout belongs to --wait", hint="give both, or leave it out")
    timeout_s = None
    if asked.timeout is not None:
        timeout_s = parse_duration(asked.timeout, "--timeout").total_seconds()
    if asked.after is not None and asked.everything:
        raise ConfigError("--after and --all exclude each other")
    ours = config if asked.foreground else not_started(config)
    async with open_client(settings, ours, dry_run=asked.dry_run, creates=True) as client:
        options = InformOptions(
            after=await _after(client, asked.after),
            limit=asked.limit,
            labels=labels,
            order_by=asked.order_by,
            process_existing=asked.process_existing,
        )
        try:
            run = await client.schedule_inform(
                kind,
                options,
                from_watermark=not asked.everything,
                requested_by=asked.actor,
                run_foreground=asked.foreground,
            )
        except NotFound:
            await check_kind_known(client, kind)
            raise
        if asked.wait and not asked.dry_run:
            run = await _wait(client, run, timeout_s)
        failed = (
            asked.foreground
            and not asked.dry_run
            and await any_failed_since(client, run.created_at, [kind])
        )
    output.write_object(inform_run_record(run), output_format)
    if asked.dry_run:
        here = "run here, and what it reports worked" if asked.foreground else "queued"
        note_dry_run(f"the informer is not asked; this run would be {here}")
        return ExitCode.DONE
    code = _told(run)
    if failed and code is ExitCode.DONE:
        warn(f"some resources failed; see: delta list {kind} --state failed --state degraded")
        return ExitCode.SOME_FAILED
    return code


def _told(run: InformRun) -> ExitCode:
    if run.state is InformRunState.FAILED:
        say(f"the inform run failed: {run.error}", label="error")
        return ExitCode.FAILED
    if run.error is not None:
        warn(run.error)
    if run.finished_at is None:
        note("queued for the workers; --wait waits for it")
    return ExitCode.DONE


async def _wait(client: "Client", run: InformRun, timeout_s: float | None) -> InformRun:
    try:
        async with asyncio.timeout(timeout_s):
            while run.finished_at is None:
                await asyncio.sleep(_POLL_S)
                run = await client.inform_run(run.id)
    except asyncio.CancelledError:
        note(f"inform run {run.id} goes on without you; see: delta informs {run.kind}")
        raise
    except TimeoutError:
        raise WaitTimeout(
            f"inform run {run.id} of kind {run.kind!r} is still {run.state} after {timeout_s:g} s",
            hint="does a worker of that kind run? see: delta status",
        ) from None
    return run


async def _after(client: "Client", after: str | None) -> datetime | None:
    if after is None:
        return None
    return parse_moment(after, "--after", await database_now(client))


async def database_now(client: "Client") -> datetime:
    """The database's clock, from which `5m` is counted."""
    from delta_cli.engine.store import read

    async with client.database.connection() as connection:
        return await read.now(connection)


def _labels(given: Sequence[str]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for label in given:
        name, equals, value = label.partition("=")
        if not name or not equals:
            raise ConfigError(f"--label {label!r} is not name=value")
        labels[name] = value
    return labels
