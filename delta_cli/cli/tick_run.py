"""Forces one tick in this process and tells what came of it, or what would."""

import logging
from collections.abc import Awaitable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from delta_cli.cli import output
from delta_cli.cli.application import find_application, not_started
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.nearest import unknown
from delta_cli.cli.output import Format
from delta_cli.cli.records import tick_record
from delta_cli.cli.session import open_client
from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import note, note_dry_run
from delta_cli.cli.text import harmless
from delta_cli.engine.client import Client
from delta_cli.engine.errors import DeltaError, NotFound
from delta_cli.engine.model.tick import SkipReason, TickOutcome, TickRow
from delta_cli.engine.store.locks import LockHolder, holder_of
from delta_cli.engine.tick_names import BUILT_IN_TICKS, known_ticks
from delta_cli.engine.ticks.passes import PASS_FAILED

if TYPE_CHECKING:
    from delta_cli.engine.config import Config

T = TypeVar("T")

_TICK_LOGGER: Final = "delta_cli.ticks"


async def force(settings: Settings, name: str, actor: str, output_format: Format) -> ExitCode:
    """Run it now. Raises NotFound, and DeltaError for what it raised."""
    config = find_application(settings)
    kept = _KeptFailure()
    async with open_client(settings, not_started(config), creates=True) as client:
        with kept.instead_of_log():
            outcome = await _known(client, name, client.tick(name, actor=actor))
        row = next(row for row in await client.ticks() if row.name == name)
        why = await _why_skipped(client, row) if outcome is TickOutcome.SKIPPED else ""
    _write(row, outcome, _sentence(row, outcome), output_format)
    _tell_of_settings(config)
    match outcome:
        case TickOutcome.SUCCESS:
            return ExitCode.DONE
        case TickOutcome.FAILED:
            raise DeltaError(f"tick {name!r} failed: {row.last_error}") from kept.error
        case TickOutcome.SKIPPED:
            note(f"tick {name} was skipped: {why}")
            return ExitCode.SKIPPED


async def rehearse(settings: Settings, name: str, output_format: Format) -> ExitCode:
    """Tell whether it would run now, as far as the database knows. Raises NotFound."""
    config = find_application(settings)
    async with open_client(settings, not_started(config), dry_run=True) as client:
        row = await _known(client, name, client.tick_standing(name))
        session = await _lock_holder(client, row)
    reason = SkipReason.PAUSED if row.paused else SkipReason.LOCK_BUSY if session else None
    what = f"{name}: would run now" if reason is None else f"{name}: would be skipped, {reason}"
    _write(row, None if reason is None else TickOutcome.SKIPPED, what, output_format)
    if output_format is not Format.TABLE:
        note_dry_run(what)
    _tell_of_settings(config)
    return ExitCode.DONE


def _tell_of_settings(config: "Config | None") -> None:
    if config is None:
        note("no application is named: the tick has the default settings")


class _KeptFailure(logging.Filter):
    """Keeps what a tick raised: it is told as any error, with its traceback only for `--debug`."""

    error: BaseException | None = None

    @contextmanager
    def instead_of_log(self) -> Generator[None]:
        logger = logging.getLogger(_TICK_LOGGER)
        logger.addFilter(self)
        try:
            yield
        finally:
            logger.removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Hold back the record of the failure alone."""
        if record.msg != PASS_FAILED:
            return True
        self.error = record.exc_info[1] if record.exc_info else None
        return False


async def _known(client: Client, name: str, asked: Awaitable[T]) -> T:
    """What was asked of a tick. Raises NotFound, which says where the tick may be."""
    try:
        return await asked
    except NotFound:
        known = [one.name for one in await client.ticks()]
        if name in known:
            raise NotFound(
                f"tick {name!r} is not one of this process",
                hint="it belongs to an application: name that with --app",
            ) from None
        raise unknown("tick", name, {*known, *known_ticks(client.config.ticks)}) from None


def check_known(ticks: Sequence[TickRow], name: str) -> None:
    """Refuse a tick that neither the fleet nor any process has. Raises NotFound."""
    names = {*BUILT_IN_TICKS, *(one.name for one in ticks)}
    if name not in names:
        raise unknown("tick", name, names)


async def _why_skipped(client: Client, row: TickRow) -> str:
    """The reason; where another has the lock, who that is."""
    reason = str(row.last_skip_reason)
    if row.last_skip_reason is not SkipReason.LOCK_BUSY:
        return reason
    session = await _lock_holder(client, row)
    if session is None:  # it has ended meanwhile
        return f"{reason}, held by {row.holder}" if row.holder else reason
    name = f" {session.application_name!r}" if session.application_name else ""
    place = f"server process {session.server_pid}{name}"
    return f"{reason}, held by {f'{row.holder} ({place})' if row.holder else place}"


async def _lock_holder(client: Client, row: TickRow) -> LockHolder | None:
    async with client.database.connection() as connection:
        return await holder_of(connection, row.lock_id)


def _write(row: TickRow, outcome: TickOutcome | None, sentence: str, output_format: Format) -> None:
    """A sentence for people; for programs the tick, with its outcome where there is one."""
    if output_format is Format.TABLE:
        output.write_text(harmless(sentence))
        return
    told = None if outcome is None else outcome.value
    output.write_object(tick_record(row) | {"outcome": told}, output_format)


def _sentence(row: TickRow, outcome: TickOutcome) -> str:
    parts = [f"{row.name}: {outcome.value}"]
    if outcome is TickOutcome.SUCCESS and row.last_count is not None:
        parts.append(f"{row.last_count} {row.count_key}" if row.count_key else f"{row.last_count}")
    if outcome is TickOutcome.SUCCESS and row.last_duration_ms is not None:
        parts.append(f"{row.last_duration_ms:.1f} ms")
    if outcome is TickOutcome.SKIPPED:
        parts.append(str(row.last_skip_reason))
    return ", ".join(parts)
