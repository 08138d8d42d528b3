"""What an operator can do from the dashboard, and the command line that would do the same."""

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from delta_cli.engine.model.fleet import WorkerRow
from delta_cli.engine.model.pause import PauseScope
from delta_cli.engine.states import (
    DELETABLE,
    INVALIDATABLE,
    RETRYABLE,
    ResourceState,
)
from delta_cli.engine.store.overview import Line

#: More rows than this are confirmed by typing; more than one where they are deleted.
TYPED_FROM: Final = 50
_SAMPLES: Final = 5
_IDS_IN_A_COMMAND: Final = 8
VERBS: Final = ("invalidate", "retry", "delete", "cancel", "tick", "pause", "resume")
#: In which states a resource can be so treated.
STATES: Final = {
    "invalidate": INVALIDATABLE,
    "retry": RETRYABLE,
    "delete": DELETABLE,
    "cancel": (ResourceState.PENDING,),
}


@dataclass(frozen=True, slots=True)
class Thing:
    """What is paused, resumed or ticked: a scope and a name."""

    scope: PauseScope
    name: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done to what, as it is shown before it is confirmed.

    `refused` rows were chosen as well, but their state does not allow it. `why_not`: nothing can be
    done at all.
    """

    verb: str
    lines: Sequence[Line] = ()
    thing: Thing | None = None
    refused: Sequence[Line] = ()
    why_not: str = ""

    @property
    def count(self) -> int:
        """How many rows or things."""
        return len(self.lines) or (0 if self.thing is None else 1)

    @property
    def is_typed(self) -> bool:
        """Whether the number has to be typed to confirm it."""
        return self.count > (1 if self.verb == "delete" else TYPED_FROM)

    @property
    def answers(self) -> tuple[str, str]:
        """The words of the button that changes nothing, and of the one that does it."""
        if self.verb == "cancel":  # "Cancel" would be either
            what = "the work" if self.count == 1 else f"{self.count:,} works"
            return "Keep running", f"Cancel {what}"
        return "Cancel", f"{self.verb.capitalize()} {self.count:,}"

    @property
    def samples(self) -> list[str]:
        """Some of what it is about, in words."""
        if self.thing is not None:
            return [f"{self.thing.scope} {self.thing.name}"]
        words = [
            f"{line.kind}/{line.object_id} ({line.state}, {line.namespace})" for line in self.lines
        ]
        more = len(words) - _SAMPLES
        return [*words[:_SAMPLES], f"and {more:,} more"] if more > 0 else words

    @property
    def commands(self) -> list[str]:
        """The equal command lines: one for each kind and namespace."""
        if self.thing is not None:
            words = (
                [self.thing.name] if self.verb == "tick" else [self.thing.scope, self.thing.name]
            )
            return [shlex.join(["delta", self.verb, *words])]
        lanes: dict[tuple[str, str], list[str]] = {}
        for line in self.lines:
            lanes.setdefault((line.kind, line.namespace), []).append(line.object_id)
        return [
            command
            for (kind, namespace), ids in lanes.items()
            for command in _commands(self.verb, kind, namespace, ids)
        ]


def _commands(verb: str, kind: str, namespace: str, ids: Sequence[str]) -> list[str]:
    tail = [] if namespace == "default" else ["--namespace", namespace]
    if verb == "cancel":  # takes one at a time
        return [shlex.join(["delta", verb, kind, one, *tail]) for one in ids]
    named = list(ids[:_IDS_IN_A_COMMAND])
    command = shlex.join(["delta", verb, kind, *named, *tail])
    more = len(ids) - len(named)
    return [f"{command}  # and {more:,} more ids" if more > 0 else command]


def plan_repair(verb: str, chosen: Sequence[Line]) -> Plan:
    """To treat those of the chosen rows whose state allows it."""
    allowed = STATES[verb]
    is_done = verb == "delete" and {line.state for line in chosen} == {ResourceState.DELETED}
    return Plan(
        verb,
        lines=[line for line in chosen if line.state in allowed],
        refused=[line for line in chosen if line.state not in allowed],
        why_not="what was chosen is deleted already" if is_done else "",
    )


def plan_tick(verb: str, name: str, own: Collection[str]) -> Plan:
    """To force, pause or resume a tick; `own`: the ticks that this process can run."""
    if verb == "tick" and name not in own:
        command = shlex.join(["delta", "tick", name, "--app", "MODULE:CONFIG"])
        words = f"tick {name} belongs to an application, which the dashboard does not load"
        return Plan(verb, why_not=f"{words}; from a shell: {command}")
    return Plan(verb, thing=Thing(PauseScope.TICK, name))


def plan_worker(verb: str, key: str, workers: Sequence[WorkerRow]) -> Plan:
    """To pause or resume a worker, by its id as text. One that has ended has nothing to pause."""
    ended = next((one for one in workers if str(one.id) == key and not one.is_there), None)
    if verb == "pause" and ended is not None:
        return Plan(verb, why_not=f"worker {key} is {ended.state}: there is nothing to pause")
    return Plan(verb, thing=Thing(PauseScope.WORKER, key))
