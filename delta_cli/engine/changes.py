"""The drift: what differs between two JSON values."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between the last synced object and the desired one.

    `path` is dotted (`address.city`, `lines.0`); `old` or `new` is None where the path is absent
    on that side.
    """

    path: str
    old: Any
    new: Any


def changes_between(old: Any, new: Any, path: str = "") -> list[Change]:
    """The differences of two JSON values, in the order of their paths."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            change
            for key in sorted(old.keys() | new.keys())
            for change in _changes_of_member(old, new, key, _join(path, key))
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            change
            for index, (left, right) in enumerate(zip(old, new, strict=True))
            for change in changes_between(left, right, _join(path, str(index)))
        ]
    # To Python, true is 1; in JSON it is not.
    same = old == new and isinstance(old, bool) == isinstance(new, bool)
    return [] if same else [Change(path, old, new)]


def _changes_of_member(
    old: dict[str, Any], new: dict[str, Any], key: str, path: str
) -> list[Change]:
    if key in old and key in new:
        return changes_between(old[key], new[key], path)
    # Absent is not null, though a change shows both as None.
    return [Change(path, old.get(key), new.get(key))]


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
