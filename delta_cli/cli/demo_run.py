"""Runs the demo: inform of every file of a folder, work them all, and tell what became of them."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from delta_cli.cli import output
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.output import Format
from delta_cli.cli.progress import Advance, progress_bar
from delta_cli.cli.session import open_client, open_database
from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import note, note_dry_run, say
from delta_cli.engine.errors import ConfigError, SchemaError
from delta_cli.engine.model import InformRun, InformRunState, ResourceRow
from delta_cli.engine.settings import InformOptions
from delta_cli.engine.states import ResourceState

if TYPE_CHECKING:
    from delta_cli.engine.client import Client
    from delta_cli.engine.config import Config
    from delta_cli.engine.database import Database
    from delta_cli.engine.runtime import WorkerSummary

KIND: Final = "file"
_SAMPLES: Final = 200
_LOOK_INTERVAL_S: Final = 0.25
_SETTLED: Final = (ResourceState.SYNCED, ResourceState.DEGRADED, ResourceState.DELETED)
_FAILED: Final = (ResourceState.FAILED, ResourceState.DEGRADED)


class DemoRun:
    """One run of the demo."""

    def __init__(self, source: Path | None, target: Path | None) -> None:
        self._is_sample: bool = source is None
        place = data_folder() / "demo"
        self._source: Path = source or place / "source"
        self._target: Path = target or (place if source is None else source.parent) / (
            "target" if source is None else f"{source.resolve().name}-mirror"
        )

    async def run(self, settings: Settings, form: Format) -> ExitCode:
        """Mirror the folder and print the summary."""
        if self._is_sample:
            make_samples(self._source)
        note(f"mirroring {self._source} into {self._target}")
        config = self._config(settings)
        # Around the client's: so the embedded server is not stopped in between.
        async with open_database(settings) as database:
            await _migrate(database)
            began = time.perf_counter()
            async with open_client(settings, config) as client:
                run, worked = await self._mirror(client, form)
                record = await self._summary(client, run, worked, time.perf_counter() - began)
        output.write_object(record, form)
        if run.state is InformRunState.FAILED:
            say(f"the folder could not be mirrored: {run.error}", label="error")
            return ExitCode.FAILED
        return ExitCode.SOME_FAILED if record["failed"] or run.counts.refused else ExitCode.DONE

    async def rehearse(self, settings: Settings, form: Format) -> ExitCode:
        """Print what it would copy and remove, as far as the database and the source tell."""
        if self._is_sample and not self._source.is_dir():
            record = self._record(files=_SAMPLES, copied=_SAMPLES)
        else:
            record = await self._compared(settings)
        output.write_object(record, form)
        note_dry_run(f"{self._source} would be mirrored into {self._target}")
        return ExitCode.DONE

    async def _compared(self, settings: Settings) -> dict[str, Any]:
        from delta_cli.examples.mirror import FileController

        config = self._config(settings)
        listed = list(FileController(self._source, self._target).inform(InformOptions()))
        try:
            async with open_client(settings, config, dry_run=True) as client:
                counts = await client.inform_many(listed, on_refused=lambda _: None)
                gone = len(await self._vanished(client))
        except SchemaError:  # it is the demo that would make it
            return self._record(files=len(listed), copied=len(listed))
        changed = counts.created + counts.updated
        return self._record(files=counts.seen, refused=counts.refused, copied=changed, removed=gone)

    def _config(self, settings: Settings) -> "Config":
        from delta_cli.examples.mirror import make_config

        if not self._source.is_dir():
            raise ConfigError(f"there is no folder {self._source}", hint="name one with --source")
        return make_config(self._source, self._target, schema=settings.schema_name)

    async def _mirror(
        self, client: "Client", form: Format
    ) -> tuple[InformRun, "WorkerSummary | None"]:
        with progress_bar("mirroring", form) as advance:
            watching = asyncio.create_task(_watch(client, advance))
            try:
                await self._release_vanished(client)
                await client.start()
                run = await client.schedule_inform(
                    KIND,
                    InformOptions(process_existing=False),
                    from_watermark=False,
                    requested_by="demo",
                    run_foreground=True,
                )
                worked = await client.stop()
            finally:
                watching.cancel()
            await _look(client, advance)
            return run, worked

    async def _release_vanished(self, client: "Client") -> None:
        """Have the resources worked again whose file is gone: their work removes the mirror's."""
        from delta_cli.engine.store.repair import INVALIDATE, RETRY

        gone = await self._vanished(client)
        if not gone:
            return
        note(f"{len(gone)} files are gone from the source: their mirrors are removed")
        synced = [row for row in gone if row.state is ResourceState.SYNCED]
        await client.repair_many(INVALIDATE, synced, actor="demo")
        others = [row for row in gone if row.state is not ResourceState.SYNCED]
        await client.repair_many(RETRY, others, actor="demo")

    async def _vanished(self, client: "Client") -> "list[ResourceRow]":
        from delta_cli.engine.store.read import ResourceFilter
        from delta_cli.examples.mirror import vanished

        chosen = ResourceFilter(kind=KIND, states=[ResourceState.SYNCED, *_FAILED])
        rows = {row.object_id: row async for row in client.resources(chosen)}
        return [rows[path] for path in await asyncio.to_thread(vanished, rows, self._source)]

    async def _summary(
        self,
        client: "Client",
        run: InformRun,
        worked: "WorkerSummary | None",
        duration_s: float,
    ) -> dict[str, Any]:
        states = await _states(client)
        synced = worked.counts.synced if worked else 0
        return self._record(
            files=run.counts.seen,
            refused=run.counts.refused,
            copied=synced,
            removed=worked.counts.deleted if worked else 0,
            states=states,
            duration_s=duration_s,
        )

    def _record(
        self,
        *,
        files: int,
        copied: int,
        refused: int = 0,
        removed: int = 0,
        states: Mapping[ResourceState, int] = MappingProxyType({}),
        duration_s: float = 0.0,
    ) -> dict[str, Any]:
        return {
            "source": str(self._source),
            "target": str(self._target),
            "files": files,
            "refused": refused,
            "copied": copied,
            "removed": removed,
            "failed": sum(states.get(state, 0) for state in _FAILED),
            "states": {state.value: count for state, count in states.items()},
            "duration_s": round(duration_s, 2),
            "copied_per_s": round(copied / duration_s, 1) if duration_s else 0.0,
        }


async def _migrate(database: "Database") -> None:
    from delta_cli.engine.schema import migrate

    connection = await database.connect()
    async with connection:
        await migrate(connection, schema=database.schema)


async def _watch(client: "Client", advance: Advance) -> None:
    while True:
        await _look(client, advance)
        await asyncio.sleep(_LOOK_INTERVAL_S)


async def _look(client: "Client", advance: Advance) -> None:
    states = await _states(client)
    advance(sum(states.get(state, 0) for state in _SETTLED), sum(states.values()))


async def _states(client: "Client") -> dict[ResourceState, int]:
    states: dict[ResourceState, int] = {}
    for lane in (await client.status()).kinds:
        if lane.kind == KIND:
            for state, count in lane.states.items():
                states[state] = states.get(state, 0) + count
    return states


def make_samples(folder: Path) -> None:
    """Small files in a few folders; those that are there already stay as they are."""
    if folder.is_dir():
        return
    for number in range(_SAMPLES):
        file = folder / f"folder-{number % 8}" / f"file-{number:03}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"This is sample {number}.\n" * (1 + number % 40), encoding="utf-8")


def data_folder(environ: Callable[[str], str | None] = os.environ.get) -> Path:
    """Where this user's data of Delta lies."""
    if chosen := environ("DELTA_DATA_DIR"):
        return Path(chosen)
    if chosen := environ("XDG_DATA_HOME"):
        return Path(chosen) / "delta"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "delta"
    return Path.home() / ".local" / "share" / "delta"
