"""The whole system at one moment, as the tabs show it; and what a person should be told of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from delta_cli.dash.words import age, pause_words
from delta_cli.engine.model.fleet import ControllerRow, NamespaceRow, WorkerRow
from delta_cli.engine.model.inform import InformRun
from delta_cli.engine.model.pause import Pause, PauseScope
from delta_cli.engine.model.tick import TickRow
from delta_cli.engine.states import ResourceState
from delta_cli.engine.store.overview import GrantOf, LaneDue, LanePending

#: So many failures in a row are no bad luck any more.
MANY_FAILURES: Final = 3
_WAITS_S: Final = 60.0
#: Looking takes time, and short intervals are soon over.
_LATE_S: Final = 5.0
_TAB_OF_SCOPE: Final = {
    PauseScope.KIND: "controllers",
    PauseScope.NAMESPACE: "controllers",
    PauseScope.WORKER: "workers",
    PauseScope.TICK: "ticks",
}


@dataclass(frozen=True, slots=True)
class KindCounts:
    """The resources of one kind. `due` is counted up to a cap; `oldest`: due since when."""

    kind: str
    states: Mapping[ResourceState, int]
    due: int
    oldest: datetime | None

    @property
    def total(self) -> int:
        """All of them, also those whose object is deleted: as many as a list of them has."""
        return sum(self.states.values())


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the database said at `at`, on its clock.

    `counts_age_s`: how old the oldest count is; `counted` False: the first round is under way.
    """

    at: datetime
    kinds: Sequence[KindCounts] = ()
    counts_age_s: float = 0.0
    counted: bool = True
    pending: Sequence[LanePending] = ()
    due: Mapping[tuple[str, str], LaneDue] | None = None
    workers: Sequence[WorkerRow] = ()
    grants: Sequence[GrantOf] = ()
    ticks: Sequence[TickRow] = ()
    controllers: Sequence[ControllerRow] = ()
    namespaces: Sequence[NamespaceRow] = ()
    runs: Sequence[InformRun] = ()
    pauses: Sequence[Pause] = ()

    def pause_of(self, scope: PauseScope, name: str) -> Pause | None:
        """The pause of one thing, if it is paused."""
        return next((one for one in self.pauses if (one.scope, one.name) == (scope, name)), None)


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that should not be so: on which tab, and at which row."""

    tab: str
    key: str
    text: str


def alerts(snapshot: Snapshot) -> list[Alert]:
    """What a person should look at, the worst first: what is amiss now before what was."""
    return [
        *_of_workers(snapshot),
        *_of_ticks(snapshot),
        *_of_controllers(snapshot),
        *_of_kinds(snapshot),
        *_of_pauses(snapshot),
        *_of_losses(snapshot),
    ]


def alive(snapshot: Snapshot) -> int:
    """How many workers are there and have been heard of."""
    return sum(one.is_there and not one.silent for one in snapshot.workers)


def fleet_words(snapshot: Snapshot) -> str:
    """How many of the workers are alive that should be: those that ended are not missed."""
    return f"{alive(snapshot)}/{sum(one.is_there for one in snapshot.workers)} alive"


def overdue_s(tick: TickRow, now: datetime) -> float:
    """How long a tick's next run has been due; nothing while it runs, rests or is not due."""
    if tick.next_due is None or tick.paused or not tick.enabled or tick.holder is not None:
        return 0.0
    return max(0.0, (now - tick.next_due).total_seconds())


def is_overdue(tick: TickRow, now: datetime) -> bool:
    """Whether a tick should have run two intervals ago."""
    return overdue_s(tick, now) > 2 * tick.interval_s + _LATE_S


def is_unwell(tick: TickRow, now: datetime) -> bool:
    """Whether a tick fails and fails again, or should have run long ago."""
    return tick.consecutive_failures >= MANY_FAILURES or is_overdue(tick, now)


def is_unattended(snapshot: Snapshot) -> bool:
    """Whether no worker is alive though there is something for one to do."""
    is_late = any(is_overdue(tick, snapshot.at) for tick in snapshot.ticks)
    return alive(snapshot) == 0 and (is_late or bool(snapshot.controllers))


def _of_workers(snapshot: Snapshot) -> list[Alert]:
    there = [one for one in snapshot.workers if one.is_there]
    found = [
        Alert("workers", str(one.id), f"worker {one.id} is silent for {age(one.heartbeat_age_s)}")
        for one in there
        if one.silent
    ]
    # That one which should be there is silent is told already.
    if snapshot.controllers and not there:
        found.append(Alert("workers", "", "no worker runs"))
    return found


def _of_losses(snapshot: Snapshot) -> list[Alert]:
    """Workers whose resources others have taken over: what one is to know, the newest first."""
    lost = [one for one in snapshot.workers if one.silent and not one.is_there]
    return [
        Alert("workers", str(one.id), f"worker {one.id} was lost {age(one.heartbeat_age_s)} ago")
        for one in sorted(lost, key=lambda one: one.heartbeat_age_s)
    ]


def _of_ticks(snapshot: Snapshot) -> list[Alert]:
    # One cause, said once: without a worker that is alive every tick is overdue.
    somebody_works = alive(snapshot) > 0
    found: list[Alert] = []
    for tick in snapshot.ticks:
        if tick.consecutive_failures >= MANY_FAILURES:
            text = f"tick {tick.name} failed {tick.consecutive_failures} times in a row"
            found.append(Alert("ticks", tick.name, text))
        elif somebody_works and is_overdue(tick, snapshot.at):
            text = f"tick {tick.name} is overdue by {age(overdue_s(tick, snapshot.at))}"
            found.append(Alert("ticks", tick.name, text))
    return found


def ended_runs(snapshot: Snapshot) -> dict[str, InformRun]:
    """The newest run of each kind's informer that has ended."""
    return {run.kind: run for run in reversed(snapshot.runs) if run.finished_at is not None}


def _of_controllers(snapshot: Snapshot) -> list[Alert]:
    ended = ended_runs(snapshot)
    found: list[Alert] = []
    for one in snapshot.controllers:
        run = ended.get(one.kind)
        if one.inform_failures >= MANY_FAILURES:
            text = f"the informer of {one.kind} failed {one.inform_failures}x"
            found.append(Alert("controllers", one.kind, text))
        elif run is not None and run.counts.refused:
            # Why stands beside the kind: all alerts share a line.
            text = f"{one.kind}: {run.counts.refused:,} of {run.counts.seen:,} objects refused"
            found.append(Alert("controllers", one.kind, text))
    return found


def _of_pauses(snapshot: Snapshot) -> list[Alert]:
    """A pause that was forgotten is what nobody thinks of at night."""
    return [
        Alert(
            _TAB_OF_SCOPE[pause.scope],
            pause.name,
            f"{pause.scope} {pause.name} is paused {pause_words(pause, snapshot.at)}",
        )
        for pause in snapshot.pauses
    ]


def _of_kinds(snapshot: Snapshot) -> list[Alert]:
    found: list[Alert] = []
    for one in snapshot.kinds:
        waits = 0.0 if one.oldest is None else (snapshot.at - one.oldest).total_seconds()
        degraded = one.states.get(ResourceState.DEGRADED, 0)
        if waits > _WAITS_S and snapshot.pause_of(PauseScope.KIND, one.kind) is None:
            text = f"{one.kind}: {one.due:,} due, the oldest for {age(waits)}"
            found.append(Alert("overview", one.kind, text))
        elif degraded:
            found.append(Alert("overview", one.kind, f"{one.kind}: {degraded:,} degraded"))
    return found
