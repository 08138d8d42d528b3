"""Runs the demo in a schema of its own, beside the user's, and tells what became of the files."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from delta_cli.cli import output
from delta_cli.cli.demo_mirror import DemoMirror, Listing, States
from delta_cli.cli.demo_samples import SAMPLES, data_folder, make_samples
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.output import Format
from delta_cli.cli.progress import progress_bar
from delta_cli.cli.session import open_client, open_database
from delta_cli.cli.settings import Setting, Settings
from delta_cli.cli.talk import note, note_dry_run, say, warn
from delta_cli.engine.errors import ConfigError, SchemaError
from delta_cli.engine.states import ResourceState
from delta_cli.examples.mirror import Deed

if TYPE_CHECKING:
    from delta_cli.engine.database import Database

_FAILED: Final = (ResourceState.FAILED, ResourceState.DEGRADED)
_ENDED: Final = (ResourceState.SYNCED, ResourceState.DELETED, *_FAILED)


class DemoRun:
    """One run of the demo."""

    def __init__(self, settings: Settings, source: Path | None, target: Path | None) -> None:
        self._settings: Settings = _beside(settings)
        self._is_sample: bool = source is None
        place = data_folder() / "demo"
        self._source: Path = source or place / "source"
        self._target: Path = target or (place if source is None else source.parent) / (
            "target" if source is None else f"{source.resolve().name}-mirror"
        )
        self._mirror: DemoMirror = DemoMirror(self._source, self._target)

    async def run(self, form: Format) -> ExitCode:
        """Mirror the folder and print the summary."""
        if self._is_sample:
            make_samples(self._source)
        self._require_source()
        note(f"mirroring {self._source} into {self._target}")
        config = self._mirror.config(self._settings.schema_name)
        # Around the client's: so the embedded server is not stopped in between.
        async with open_database(self._settings) as database:
            await _migrate(database)
            began = time.perf_counter()
            async with open_client(self._settings, config, creates=True) as client:
                with progress_bar("mirroring", form) as advance:
                    listing = await self._mirror.run(client, advance)
                states = await self._mirror.states(client)
        output.write_object(self._summary(listing, states, time.perf_counter() - began), form)
        return self._judge(listing, states)

    async def rehearse(self, form: Format) -> ExitCode:
        """Print what it would copy and remove, as far as the database and the folders tell."""
        if self._is_sample and not self._source.is_dir():
            record = self._record(files=SAMPLES, copied=SAMPLES)
        else:
            self._require_source()
            record = await self._compared()
        output.write_object(record, form)
        note_dry_run(f"{self._source} would be mirrored into {self._target}")
        return ExitCode.DONE

    async def _compared(self) -> dict[str, Any]:
        files, differing = await asyncio.to_thread(self._mirror.list_differing)
        config = self._mirror.config(self._settings.schema_name)
        try:
            async with open_client(self._settings, config, dry_run=True, creates=True) as client:
                counts, gone = await self._mirror.rehearse(client)
        except SchemaError:  # it is the demo that would make it
            return self._record(files=files, copied=differing)
        # None of the refused can look right: it was never mirrored.
        copied = differing - counts.refused
        return self._record(files=files, refused=counts.refused, copied=copied, removed=gone)

    def _require_source(self) -> None:
        if not self._source.is_dir():
            raise ConfigError(f"there is no folder {self._source}", hint="name one with --source")

    def _judge(self, listing: Listing, states: States) -> ExitCode:
        schema = self._settings.schema_name
        note(f"its resources are in the schema {schema}: delta status --schema {schema}")
        left = sum(count for state, count in states.items() if state not in _ENDED)
        if left:
            warn(f"not worked: {left} of the files; run it again, or look at them there")
        if listing.error is not None:
            say(f"the folder could not be listed: {listing.error}", label="error")
            return ExitCode.FAILED
        failed = any(states.get(state) for state in _FAILED)
        some_failed = failed or left or listing.counts.refused
        return ExitCode.SOME_FAILED if some_failed else ExitCode.DONE

    def _summary(self, listing: Listing, states: States, duration_s: float) -> dict[str, Any]:
        deeds = self._mirror.controller.deeds
        return self._record(
            files=listing.counts.seen,
            refused=listing.counts.refused,
            copied=deeds[Deed.COPIED],
            compared=deeds[Deed.COMPARED],
            removed=deeds[Deed.REMOVED],
            states=states,
            duration_s=duration_s,
        )

    def _record(
        self,
        *,
        files: int,
        copied: int,
        refused: int = 0,
        compared: int = 0,
        removed: int = 0,
        states: Mapping[ResourceState, int] = MappingProxyType({}),
        duration_s: float = 0.0,
    ) -> dict[str, Any]:
        return {
            "source": str(self._source),
            "target": str(self._target),
            "schema": self._settings.schema_name,
            "namespace": self._mirror.namespace,
            "files": files,
            "refused": refused,
            "copied": copied,
            "compared": compared,
            "removed": removed,
            "failed": sum(states.get(state, 0) for state in _FAILED),
            "states": {state.value: count for state, count in states.items()},
            "duration_s": round(duration_s, 2),
            "copied_per_s": round(copied / duration_s, 1) if duration_s else 0.0,
        }


def _beside(settings: Settings) -> Settings:
    """The settings with a schema of the demo's own: nothing of the user's is touched or shown."""
    return replace(settings, schema=Setting(f"{settings.schema_name}_demo", settings.schema.origin))


async def _migrate(database: "Database") -> None:
    from delta_cli.engine.schema import migrate

    connection = await database.connect()
    async with connection:
        await migrate(connection, schema=database.schema)
