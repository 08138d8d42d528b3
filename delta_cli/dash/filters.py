"""The filter language of lists: `kind:card state:failed,degraded ns:eu worker:12 tag:vip text`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from delta_cli.engine.errors import ConfigError
from delta_cli.engine.model.event import Event
from delta_cli.engine.states import ResourceState
from delta_cli.engine.store.overview import Wanted

_NAMES: Final = ("kind", "state", "ns", "worker", "tag")
_ALIASES: Final = {"namespace": "ns", "k": "kind", "s": "state", "n": "ns", "w": "worker"}
#: So much alike is a mistyped name; `order:1` and `urn:x:1` are ids, and no doubt is told of them.
_ALIKE: Final = 0.75
HELP: Final = "kind:NAME state:NAME,NAME ns:NAME worker:ID tag:NAME and part of an id"


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter as it was written, and what it asks for. `doubts`: what may be mistyped of it."""

    text: str = ""
    wanted: Wanted = field(default_factory=Wanted)
    doubts: Sequence[str] = ()

    def takes(self, event: Event) -> bool:
        """Whether an event is of what is asked for. Tags are not known of events."""
        wanted = self.wanted
        return (
            (wanted.kind is None or event.kind == wanted.kind)
            and (wanted.namespace is None or event.namespace == wanted.namespace)
            and (wanted.states is None or event.state in wanted.states)
            and (wanted.worker_id is None or event.worker == wanted.worker_id)
            and (wanted.text is None or wanted.text.lower() in event.object_id.lower())
        )


def parse(text: str) -> Filter:
    """Read a filter. Raises ConfigError, which names the word that is wrong."""
    kind = namespace = worker = None
    states: list[ResourceState] = []
    tags: list[str] = []
    words: list[str] = []
    for word in text.split():
        name, colon, value = word.partition(":")
        name = _ALIASES.get(name, name)
        if not colon or name not in _NAMES:
            words.append(word)
            continue
        if not value:
            raise ConfigError(f"{word!r} names no value", hint=HELP)
        match name:
            case "kind":
                kind = value
            case "ns":
                namespace = value
            case "worker":
                worker = _worker(value)
            case "tag":
                tags.append(value)
            case _:
                states += [_state(one) for one in value.split(",") if one]
    wanted = Wanted(kind, namespace, states or None, tags or None, worker, " ".join(words) or None)
    return Filter(" ".join(text.split()), wanted, list(filter(None, map(_doubt, words))))


def _doubt(word: str) -> str | None:
    """Ids may well have colons in them: one is looked for as it is, and a likely slip is said."""
    name, colon, _ = word.partition(":")
    nearest = get_close_matches(name, (*_NAMES, "namespace"), n=1, cutoff=_ALIKE)
    if not colon or not nearest:
        return None
    told = f"there is no {name}: to filter by, so ids with {word!r} are shown"
    return f"{told}; did you mean {nearest[0]!r}?"


def _state(value: str) -> ResourceState:
    found = [state for state in ResourceState if state.value.startswith(value.lower())]
    if len(found) != 1:
        raise ConfigError(
            f"there is no state {value!r}", hint=f"states: {', '.join(ResourceState)}"
        )
    return found[0]


def _worker(value: str) -> int:
    if not value.isdecimal() or len(value) > 18:  # noqa: PLR2004 - what a bigint holds surely
        raise ConfigError(f"worker:{value} is no worker's id", hint="worker:12")
    return int(value)
