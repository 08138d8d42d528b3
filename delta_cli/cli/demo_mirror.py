"""One mirror of the demo: inform of every file, find what else is to be worked, work it all.

It informs as a client and not as an informer, whose listing would leave alone what is deleted: a
file that comes back is mirrored again.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from delta_cli.cli.progress import Advance
from delta_cli.cli.talk import note, warn
from delta_cli.engine.errors import InvalidObject
from delta_cli.engine.informing import objects_of
from delta_cli.engine.model.inform import InformCounts
from delta_cli.engine.model.pause import PauseScope
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.settings import InformOptions, NamespaceConfig
from delta_cli.engine.states import ResourceState
from delta_cli.engine.store.read import ResourceFilter
from delta_cli.engine.store.repair import INVALIDATE, RETRY
from delta_cli.examples.mirror import FileController, make_config, vanished

if TYPE_CHECKING:
    from delta_cli.engine.client import Client
    from delta_cli.engine.config import Config

KIND: Final = "file"
_LOOK_INTERVAL_S: Final = 0.25
_SETTLED: Final = (ResourceState.SYNCED, ResourceState.DEGRADED, ResourceState.DELETED)
#: Those that nothing is due of, or not soon.
_AT_REST: Final = (ResourceState.SYNCED, ResourceState.FAILED, ResourceState.DEGRADED)
_KEPT: Final = timedelta(-1)
_REFUSALS_TOLD: Final = 10

States = dict[ResourceState, int]


@dataclass(frozen=True, slots=True)
class Listing:
    """What became of the files of the source; `error`: why some were not listed."""

    counts: InformCounts
    error: OSError | None = None


class DemoMirror:
    """The mirror of `source` in `target`, and its namespace in the demo's schema.

    Raises ConfigError when one folder lies in the other.
    """

    def __init__(self, source: Path, target: Path) -> None:
        self.controller: FileController = FileController(source, target)
        self._error: OSError | None = None
        self._refused: int = 0

    @property
    def namespace(self) -> str:
        """Where its resources are."""
        return self.controller.namespace

    def config(self, schema: str) -> "Config":
        """The application. Nobody works between two runs, so nothing is to fall due meanwhile."""
        kept = NamespaceConfig(synced_retention=_KEPT, degraded_retention=_KEPT)
        return make_config(
            self.controller.source,
            self.controller.target,
            controllers=[self.controller],
            namespaces={self.namespace: kept},
            resource_inform_interval=timedelta(0),
            schema=schema,
        )

    async def run(self, client: "Client", advance: Advance) -> Listing:
        """Mirror every file, and return when they have been worked."""
        await client.control.require_unpaused(PauseScope.KIND, KIND)
        await client.control.require_unpaused(PauseScope.NAMESPACE, self.namespace)
        watching = asyncio.create_task(self._watch(client, advance))
        try:
            counts = await client.inform_many(self._listed(), on_refused=self._tell_refused)
            # Not before: what the listing changes is due already, and worked once.
            await self._work_again(client)
            await client.start(kinds=[KIND], namespaces=[self.namespace])
            await client.wait_until_drained([KIND])
            await client.stop()
        finally:
            watching.cancel()
        await self._look(client, advance)
        return Listing(counts, self._error)

    async def rehearse(self, client: "Client") -> tuple[InformCounts, int]:
        """With a client in a dry run: what an inform would do, and how many files are gone."""
        counts = await client.inform_many(self._listed(), on_refused=self._tell_refused)
        rows = [row async for row in client.resources(self._chosen)]
        return counts, len(await asyncio.to_thread(self._vanished, rows))

    def list_differing(self) -> tuple[int, int]:
        """How many files the source has, and of how many the target's look different.

        Raises OSError when some cannot be listed.
        """
        paths = [file.path for file in self.controller.inform(InformOptions())]
        return len(paths), sum(not self.controller.looks_right(path) for path in paths)

    async def states(self, client: "Client") -> States:
        """How many of its resources are in each state."""
        for lane in (await client.status()).kinds:
            if (lane.kind, lane.namespace) == (KIND, self.namespace):
                return dict(lane.states)
        return {}

    @property
    def _chosen(self) -> ResourceFilter:
        return ResourceFilter(kind=KIND, namespace=self.namespace, states=_AT_REST)

    async def _work_again(self, client: "Client") -> None:
        """Have all at rest worked that are not synced, or whose file is not as the source's."""
        rows = [row async for row in client.resources(self._chosen)]
        wrong = await asyncio.to_thread(self._wrong, rows)
        gone = await asyncio.to_thread(self._vanished, wrong)
        if gone:
            note(
                f"gone from the source, and to be removed from the target: {len(gone)} of the files"
            )
        synced = [row for row in wrong if row.state is ResourceState.SYNCED]
        await client.repair_many(INVALIDATE, synced, actor="demo")
        others = [row for row in wrong if row.state is not ResourceState.SYNCED]
        await client.repair_many(RETRY, others, actor="demo")

    def _wrong(self, rows: list[ResourceRow]) -> list[ResourceRow]:
        return [
            row
            for row in rows
            if row.state is not ResourceState.SYNCED
            or not self.controller.looks_right(row.object_id)
        ]

    def _vanished(self, rows: list[ResourceRow]) -> list[str]:
        return vanished((row.object_id for row in rows), self.controller.source)

    async def _listed(self) -> AsyncIterator[Any]:
        try:
            async for file in objects_of(self.controller.inform(InformOptions()), owned=True):
                yield file
        except OSError as error:  # told at the end: what was listed is mirrored
            self._error = error

    def _tell_refused(self, error: InvalidObject) -> None:
        self._refused += 1
        if self._refused <= _REFUSALS_TOLD:
            warn(f"a file is not mirrored: {error.message}")

    async def _watch(self, client: "Client", advance: Advance) -> None:
        while True:
            await self._look(client, advance)
            await asyncio.sleep(_LOOK_INTERVAL_S)

    async def _look(self, client: "Client", advance: Advance) -> None:
        states = await self.states(client)
        advance(sum(states.get(state, 0) for state in _SETTLED), sum(states.values()))
