"""Names, intervals and lock ids of ticks: what can be checked before any database is there."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final, Protocol, runtime_checkable

from delta_cli.engine.errors import ConfigError

#: The ticks that every Delta has.
BUILT_IN_TICKS: Final = ("inform", "rescue", "expire", "clean", "rebalance")
MAX_TICK_NAME_LENGTH: Final = 127
MAX_TICK_INTERVAL: Final = timedelta(days=36_500)
_MOST: Final = 2**63


@runtime_checkable
class NamedTick(Protocol):
    """What is known of a tick before it is attached to a database."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    def lock_id_in(self, schema: str) -> int:
        """The key of its advisory lock in a schema."""
        ...


def stable_lock_id(schema: str, name: str) -> int:
    """The advisory lock of a tick that was given none: the same in every process and version.

    It has 53 bits: programs that read JSON numbers as floats, as jq does, keep no more of them.
    """
    digest = hashlib.sha256(f"delta tick\0{schema}\0{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 11


def check_tick_name(value: object) -> str:
    """Refuse a name that is no text of 1 to 127 printable characters."""
    if not isinstance(value, str):
        raise ConfigError(f"name of a tick must be text, got {value!r}")
    if not 1 <= len(value) <= MAX_TICK_NAME_LENGTH or not value.isprintable():
        raise ConfigError(
            f"name of a tick must have 1 to {MAX_TICK_NAME_LENGTH} printable characters, "
            f"got {len(value)}: {value[:40]!r}"
        )
    return value


def check_lock_id(name: str, value: object) -> int | None:
    """Refuse what is no key of an advisory lock (None: one is made of schema and name)."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not -_MOST <= value < _MOST:
        raise ConfigError(f"lock_id of tick {name!r} must be a 64-bit integer, got {value!r}")
    return value


def check_interval(name: str, value: object) -> timedelta:
    """Refuse an interval that is not longer than zero, or too long to reckon with."""
    if not isinstance(value, timedelta):
        raise ConfigError(f"interval of tick {name!r} must be a timedelta, got {value!r}")
    if not timedelta(0) < value <= MAX_TICK_INTERVAL:
        raise ConfigError(
            f"interval of tick {name!r} must be longer than zero and at most "
            f"{MAX_TICK_INTERVAL.days} days, got {value.total_seconds():g} s"
        )
    return value


def check_callable(name: str, field: str, value: object) -> None:
    """Refuse a function that is none."""
    if not callable(value):
        raise ConfigError(f"{field} of tick {name!r} must be callable, got {value!r}")


def known_ticks(ticks: Iterable[NamedTick]) -> tuple[str, ...]:
    """The names of the ticks that a process has: the built-in ones, and these of its own."""
    return (*BUILT_IN_TICKS, *(tick.name for tick in ticks))


def check_ticks(ticks: Sequence[object], schema: str) -> None:
    """Refuse what is no tick, and two ticks that share a name or a lock, naming both."""
    names: dict[str, str] = dict.fromkeys(BUILT_IN_TICKS, "the built-in tick")
    locks: dict[int, str] = {stable_lock_id(schema, name): name for name in BUILT_IN_TICKS}
    for position, tick in enumerate(ticks):
        where = f"ticks[{position}]"
        if not isinstance(tick, NamedTick) or isinstance(tick, type):
            raise ConfigError(f"{where} must be a TickService, got {tick!r}")
        if tick.name in names:
            raise ConfigError(
                f"{where} has the name {tick.name!r}, which {names[tick.name]} has too",
                hint="give each tick a name of its own",
            )
        lock_id = tick.lock_id_in(schema)
        if lock_id in locks:
            raise ConfigError(
                f"ticks {locks[lock_id]!r} and {tick.name!r} have one lock_id, {lock_id}",
                hint="give each tick a lock_id of its own, or none",
            )
        names[tick.name], locks[lock_id] = where, tick.name
