"""Claims and an executor without a database, for tests of what works do to each other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from delta_cli import Config, Controller, Controllers, Resource
from delta_cli.engine.database import Database
from delta_cli.engine.loops.base import Worker
from delta_cli.engine.loops.executor import Executor
from delta_cli.engine.slots import Slots
from delta_cli.engine.store.work import Outcome


def claimed(
    claim_id: int, *, term: int = 1, kind: str = "item", namespace: str = "default"
) -> Resource[Any]:
    """A claim of the item `item-<id>`, at its first attempt of ten."""
    now = datetime.now(UTC)
    key = (claim_id, namespace, kind, f"item-{claim_id}")
    row = (*key, 1, None, term, 1, 10, 0, 1, now, now)
    return Resource.from_claim((*row, None, None, None, None, None, '{"key": "a"}', None))


class Executing:
    """An executor of these controllers, its slots and what it has reported."""

    def __init__(self, *controllers: Controller[Any], **settings: Any) -> None:
        known = Controllers(list(controllers))
        self.slots = Slots({kind: known.object_type(kind).settings.parallelism for kind in known})
        self.outcomes: list[Outcome] = []
        worker = Worker(Database(""), Config(**settings), known, None, self.slots)
        self.executor = Executor(worker, finish=self.outcomes.append)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Executor]:
        """While it works what it is given."""
        task = asyncio.create_task(self.executor.run())
        try:
            yield self.executor
        finally:
            task.cancel()
            await asyncio.wait([task])
