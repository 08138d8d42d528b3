"""Informs objects that are given on the command line: all of them, or none when one is refused."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from delta_cli.cli import output
from delta_cli.cli.application import not_started
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.given_objects import Decode, GivenObjects, raw_decoder, typed_decoder
from delta_cli.cli.output import Format
from delta_cli.cli.progress import progress_bar
from delta_cli.cli.session import open_client
from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import note, note_dry_run, warn
from delta_cli.cli.usage_errors import told_as_usage
from delta_cli.engine.errors import InvalidObject
from delta_cli.engine.settings import DEFAULT_NAMESPACE, DEFAULT_PRIORITY, InformOpts

if TYPE_CHECKING:
    from delta_cli.engine.client import Client
    from delta_cli.engine.config import Config
    from delta_cli.engine.model.inform import InformCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenOptions:
    """What the command line says of the objects that it gives."""

    texts: Sequence[str]
    files: Sequence[str]
    namespace: str | None
    tags: Sequence[str]
    priority: int | None
    max_attempts: int | None
    id_field: str
    process_existing: bool
    continue_on_error: bool
    dry_run: bool

    def opts(self) -> InformOpts | None:
        """How the objects are stored; None: as they say themselves."""
        if not self.tags and self.namespace is self.priority is self.max_attempts is None:
            return None
        return InformOpts(
            namespace=self.namespace or DEFAULT_NAMESPACE,
            tags=tuple(self.tags),
            priority=DEFAULT_PRIORITY if self.priority is None else self.priority,
            max_attempts=self.max_attempts,
        )


async def inform_objects(
    settings: Settings,
    config: "Config | None",
    kind: str,
    given: GivenOptions,
    output_format: Format,
) -> ExitCode:
    """Store the objects and print the counts. Exit 1 when any was refused."""
    with told_as_usage(priority="--priority", max_attempts="--max-attempts"):
        opts = given.opts()
    async with open_client(
        settings, not_started(config), dry_run=given.dry_run, creates=True
    ) as client:
        objects = GivenObjects(
            _decoder(client, kind, given, opts),
            texts=given.texts,
            files=given.files,
            max_bytes=client.config.max_object_bytes,
            on_refused=_tell_refused if given.continue_on_error else None,
        )
        counts = await _store(client, objects, given, opts, output_format)
    seen = counts.seen + objects.refusals - counts.refused
    record = asdict(counts) | {"seen": seen, "refused": objects.refusals}
    output.write_object(record, output_format)
    if given.dry_run:
        note_dry_run("so many objects would be stored")
    return ExitCode.FAILED if objects.refusals else ExitCode.DONE


def _decoder(client: "Client", kind: str, given: GivenOptions, opts: InformOpts | None) -> Decode:
    if kind in client.controllers:
        return typed_decoder(client.controllers, kind)
    if client.controllers:
        note(f"the application does not know kind {kind!r}: its objects are stored unchecked")
    return raw_decoder(
        kind, id_field=given.id_field, opts=opts, max_bytes=client.config.max_object_bytes
    )


async def _store(
    client: "Client",
    objects: GivenObjects,
    given: GivenOptions,
    opts: InformOpts | None,
    output_format: Format,
) -> "InformCounts":
    if given.continue_on_error and not given.dry_run:
        return await _stream(client, objects, given, opts, output_format, None)
    try:
        if given.dry_run:
            return await _stream(client, objects, given, opts, output_format, None)
        # In one transaction, so that a broken line leaves nothing behind.
        async with client.database.connection() as connection, connection.transaction():
            return await _stream(client, objects, given, opts, output_format, connection)
    except InvalidObject as error:
        raise _nothing_stored(objects, error) from error


async def _stream(
    client: "Client",
    objects: GivenObjects,
    given: GivenOptions,
    opts: InformOpts | None,
    output_format: Format,
    connection: object,
) -> "InformCounts":
    with progress_bar("informing", output_format) as advance:
        return await client.inform_many(
            objects.read(),
            opts,
            connection=connection,  # pyright: ignore[reportArgumentType] - one of the database's own
            process_existing=given.process_existing,
            on_progress=lambda counts: advance(counts.seen, None),
            on_refused=objects.refuse if given.continue_on_error else None,
        )


def _tell_refused(error: InvalidObject) -> None:
    warn(error.message)


def _nothing_stored(objects: GivenObjects, error: InvalidObject) -> InvalidObject:
    told = error if error.message.startswith(objects.place) else objects.placed(error)
    hint = "nothing was stored; --continue-on-error passes over such objects"
    return InvalidObject(
        told.message, field=told.field, hint=f"{told.hint}; {hint}" if told.hint else hint
    )
