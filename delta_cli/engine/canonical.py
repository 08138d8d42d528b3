"""Canonical JSON: the one text of a value, and the path of what keeps a value from having one.

Keys are sorted by code point, nothing is padded, text stays UTF-8, floats are written as `repr`
does; so two equal values have one text and one hash. NUL characters, lone surrogates, NaN and the
infinities are refused, because Postgres' `jsonb` or JSON itself cannot hold them.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from delta_cli.engine.errors import InvalidObject

#: The deepest nesting that is stored. pydantic's parser stops at 200; reading back must never fail.
MAX_DEPTH: Final = 128
_SHOWN_LENGTH: Final = 60
_REMOVE: Final = "remove that character"

# One encoder for all calls: `json.dumps` with options builds a new one each time (1.4 µs).
_encode: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


@dataclass(frozen=True, slots=True)
class Fault:
    """What keeps a value from being stored: where it is (dotted path), what it is, what to do."""

    path: str
    trouble: str
    hint: str

    def refusal(self) -> InvalidObject:
        """The error that says so."""
        name = self.path or "object"
        return InvalidObject(f"field '{name}' {self.trouble}", field=name, hint=self.hint)


def canonical_json(value: Any, path: str) -> tuple[str, bytes]:
    """The canonical text of a JSON value, and the same as UTF-8.

    Raises InvalidObject for a value that cannot be stored; `path` is what the message calls it.
    """
    try:
        text = _encode(value)
        data = text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise _fault_or(value, path, str(error)).refusal() from error
    # A backslash before `u0000` in the user's own text gives this too: only the search can tell.
    if "\\u0000" in text and (fault := find_fault(value, path)):
        raise fault.refusal()
    return text, data


def _fault_or(value: Any, path: str, trouble: str) -> Fault:
    return find_fault(value, path) or Fault(
        path, f"cannot be written as JSON: {shown(trouble)}", "use values that JSON can hold"
    )


def find_fault(value: Any, path: str, depth: int = 0) -> Fault | None:
    """The first part of a JSON value that cannot be stored, or None."""
    if depth > MAX_DEPTH:
        return too_deep(path)
    if (fault := _key_fault(value, path)) or (fault := scalar_fault(value, path)):
        return fault
    found = (find_fault(part, where, depth + 1) for where, part in _parts(value, path))
    return next(filter(None, found), None)


def too_deep(path: str) -> Fault:
    """The fault of a value without end, or almost."""
    return Fault(
        shown(path),
        f"is nested deeper than {MAX_DEPTH} levels, or contains itself",
        "flatten the object, or store its parts as objects of their own",
    )


def _parts(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((join(path, key), part) for key, part in value.items())
    elif isinstance(value, list | tuple):
        yield from ((join(path, index), part) for index, part in enumerate(value))


def _key_fault(value: Any, path: str) -> Fault | None:
    if not isinstance(value, dict):
        return None
    others = [key for key in value if not isinstance(key, str)]
    if not others:
        return first_bad_key(value, path)
    trouble = f"is under a key of type {type(others[0]).__name__}"
    return Fault(join(path, others[0]), trouble, "JSON's keys are strings")


def first_bad_key(value: Mapping[Any, Any], path: str) -> Fault | None:
    """What is wrong with the first key that cannot be held, or None."""
    for key in value:
        if isinstance(key, float) and (fault := float_fault(key, join(path, key))):
            return replace(fault, trouble=f"has a key that {fault.trouble}")
        if isinstance(key, str) and (trouble := text_trouble(key)):
            return Fault(join(path, key), f"has a key that {trouble}", _REMOVE)
    return None


def scalar_fault(value: Any, path: str) -> Fault | None:
    """What is wrong with a value that is neither a mapping nor a list, or None."""
    if isinstance(value, str):
        trouble = text_trouble(value)
        return Fault(path, trouble, _REMOVE) if trouble else None
    if isinstance(value, float):
        return float_fault(value, path)
    if isinstance(value, int):
        return _int_fault(value, path)
    if value is None or isinstance(value, dict | list | tuple):
        return None
    return Fault(
        path,
        f"is of type {type(value).__name__}, which JSON cannot hold",
        "use str, int, float, bool, None, a list or a dict",
    )


def text_trouble(text: str) -> str | None:
    """Why Postgres cannot hold a text, or None."""
    if "\0" in text:
        return f"contains a NUL character (at position {text.index(chr(0))})"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"contains a lone surrogate, which is not a character (at position {error.start})"
    return None


def float_fault(value: float, path: str) -> Fault | None:
    """NaN and the infinities have no JSON."""
    if math.isfinite(value):
        return None
    name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return Fault(path, f"is {name}, which JSON cannot hold", "use None or a string instead")


def _int_fault(value: int, path: str) -> Fault | None:
    try:
        int.__repr__(value)
    except ValueError:
        return Fault(path, "is an integer of more than 4300 digits", "store it as a string")
    return None


def join(path: str, part: object) -> str:
    """A dotted path with one more part; a part with odd characters is escaped, a long one cut."""
    name = shown(part) if isinstance(part, str | int) else shown(repr(part))
    return f"{path}.{name}" if path else name


def shown(value: object, length: int = _SHOWN_LENGTH) -> str:
    """Text for a message: control characters escaped, cut to `length`."""
    text = str(value)
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= length else f"{text[: length - 1]}…"


def plain_mapping(value: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping as a dict, which is what the encoder takes."""
    return value if isinstance(value, dict) else dict(value)
