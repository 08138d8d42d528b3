"""What a person should be told of workers beside their rows: silent, lost, or none at all.

A dead worker's row says that it runs until a rescue gives it up, for which another must be alive.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from delta_cli.engine.model.fleet import WorkerRow
    from delta_cli.engine.model.status import KindStatus

_START: Final = "start one with: delta run"


@dataclass(frozen=True, slots=True)
class Note:
    """What is told; `lasting`: that which does not change with time alone."""

    text: str
    lasting: str


def of_silent(workers: "Sequence[WorkerRow]") -> list[Note]:
    """A note for each that is there and has not been heard of."""
    return [_silent(worker) for worker in workers if worker.silent and worker.is_there]


def _silent(worker: "WorkerRow") -> Note:
    who = f"worker {worker.id}"
    text = (
        f"{who} has been silent for {round(worker.heartbeat_age_s)} s and may be dead: "
        f"process {worker.pid} on {worker.host}; another that is alive gives it up"
    )
    return Note(text, lasting=f"{who} is silent")


def of_lost(count: int) -> list[Note]:
    """A note of those that were lost within a day, which are in no list but that of all."""
    if not count:
        return []
    were = "1 worker was" if count == 1 else f"{count:,} workers were"
    return [_lasting(f"{were} lost within a day: delta workers --all")]


def of_nobody(workers: "Sequence[WorkerRow]", kinds: "Sequence[KindStatus]") -> list[Note]:
    """A note where nobody is alive to work what is due; what is paused waits all the same."""
    due = sum(kind.due for kind in kinds if not kind.paused)
    if not due or any(not worker.silent for worker in workers):
        return []
    are = "1 resource is" if due == 1 else f"{due:,} resources are"
    return [_lasting(f"no worker is alive, and {are} due; {_START}")]


def _lasting(text: str) -> Note:
    return Note(text, lasting=text)
