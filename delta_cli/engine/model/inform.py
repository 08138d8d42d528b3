"""What informing did: to one object, to a stream of them, and in a run of an informer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from delta_cli.engine.model.resource_row import ResourceRow

#: What an inform of one object did.
InformOutcome = Literal["created", "updated", "unchanged", "stale", "skipped", "refused"]


@dataclass(frozen=True, slots=True)
class InformResult:
    """What an inform of one object did, and the row as it stands now."""

    outcome: InformOutcome
    row: ResourceRow


@dataclass(frozen=True, slots=True)
class InformCounts:
    """What a stream of informs did. `seen` is the sum of the others.

    `stale`: older than the stored object, by `compare()`. `skipped`: deleted resources that an
    informer run reported. `refused`: objects that were not valid.
    """

    seen: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0
    skipped: int = 0
    refused: int = 0

    def __add__(self, other: "InformCounts") -> "InformCounts":
        return InformCounts(
            *(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__)
        )


class InformRunState(StrEnum):
    """Where an inform run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class InformRun:
    """A row of `delta_inform`: one run of one kind's informer.

    `error` says why it failed or, of one that succeeded, that some of its objects were refused.
    """

    id: int
    kind: str
    state: InformRunState
    after: datetime | None
    limit: int | None
    labels: Mapping[str, str]
    order_by: str | None
    process_existing: bool
    requested_by: str
    worker_id: int | None
    counts: InformCounts
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
