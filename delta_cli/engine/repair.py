"""Mends what pydantic's dump loses: the order of sets, NaN, bad keys, secrets.

It writes a set in iteration order, which for strings differs between processes. Where a field's
type does not say better (`Any`), it writes NaN as null. It writes lone surrogates in keys as
replacement characters, and secrets as asterisks. A class whose types rule that out (`is_plain`)
needs no mending; any other dump is held against the object that it came from.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import reduce
from typing import Any, Final

from pydantic import RootModel, Secret, SecretBytes, SecretStr

from delta_cli.engine.canonical import (
    MAX_DEPTH,
    canonical_json,
    first_bad_key,
    float_fault,
    join,
    too_deep,
)
from delta_cli.engine.errors import InvalidObject

_MISSING: Final = object()
_SECRETS: Final = (SecretStr, SecretBytes, Secret)
_NOTHING: Final = {"type": "none"}
#: Core schema types whose values need no mending.
_SCALARS: Final = frozenset(
    {
        *("none", "bool", "int", "float", "decimal", "complex", "str", "bytes", "literal", "enum"),
        *("date", "time", "datetime", "timedelta", "url", "multi-host-url", "uuid"),
    }
)
#: Core schema types with one schema inside, and where it stands.
_ONE_PART: Final = {
    "list": "items_schema",
    **dict.fromkeys(
        (
            *("nullable", "default", "definitions", "model", "dataclass"),
            *("model-field", "dataclass-field", "typed-dict-field"),
            *("function-before", "function-after", "function-wrap"),
        ),
        "schema",
    ),
}
_MANY_PARTS: Final[dict[str, Callable[[Mapping[str, Any]], Iterable[Any]]]] = {
    "model-fields": lambda schema: schema["fields"].values(),
    "typed-dict": lambda schema: schema["fields"].values(),
    "dataclass-args": lambda schema: schema["fields"],
    "tuple": lambda schema: schema["items_schema"],
    "dict": lambda schema: (schema.get("keys_schema"), schema.get("values_schema")),
    "union": lambda schema: (
        choice[0] if isinstance(choice, tuple) else choice for choice in schema["choices"]
    ),
    "tagged-union": lambda schema: schema["choices"].values(),
}


def is_plain(schema: Mapping[str, Any]) -> bool:
    """Whether a pydantic core schema rules out every value whose dump would have to be repaired.

    What it does not know, it calls not plain; that costs time and nothing else.
    """
    return _is_plain(schema, {}, frozenset())


def _is_plain(schema: Any, known: dict[str, Any], inside: frozenset[str]) -> bool:
    if not isinstance(schema, Mapping) or "serialization" in schema:
        return False
    name = schema["type"]
    if name in _SCALARS:
        return True
    if name == "definitions":
        known = known | {part["ref"]: part for part in schema["definitions"]}
    if name == "definition-ref":
        ref = schema["schema_ref"]
        # A type that holds itself may be nested without end.
        return ref not in inside and _is_plain(known.get(ref), known, inside | {ref})
    parts = _schema_parts(name, schema)
    return bool(parts) and all(_is_plain(part, known, inside) for part in parts)


def _schema_parts(name: str, schema: Mapping[str, Any]) -> list[Any]:
    """The schemas inside a schema; nothing when it may hold anything."""
    config = schema.get("config") or {}
    if "allow" in (schema.get("extra_behavior"), config.get("extra_fields_behavior")):
        return []
    key = _ONE_PART.get(name)
    if key:
        return [schema.get(key)]
    parts = _MANY_PARTS[name](schema) if name in _MANY_PARTS else []
    # No field at all, or no element, is as plain as can be.
    return list(parts) or ([_NOTHING] if name in _MANY_PARTS else [])


def repaired(value: Any, dumped: Any, path: tuple[object, ...] = ()) -> Any:
    """The dump of `value` with sets in sorted order. Raises InvalidObject for what a dump hides."""
    # The dump's exact type is asked first: most values are scalars, and cost two comparisons.
    shape = type(dumped)
    if shape is dict:
        return _repaired_dict(_root(value), dumped, path)
    if shape is list:
        return _repaired_list(_root(value), dumped, path)
    if dumped is None:
        _refuse_lost_float(_root(value), path)
    elif shape is str and type(value) is not str and isinstance(value, _SECRETS):
        _refuse_mask(value, dumped, path)
    return dumped


def _root(value: Any) -> Any:
    return value.root if isinstance(value, RootModel) else value


def _repaired_dict(value: Any, dumped: dict[str, Any], path: tuple[object, ...]) -> dict[str, Any]:
    _refuse_depth(path)
    is_mapping = isinstance(value, (dict, Mapping))
    pairs = (
        _pairs_of_mapping(value, dumped, path) if is_mapping else _pairs_of_fields(value, dumped)
    )
    # Keys stay, so replacing values while the pairs are drawn is safe.
    for name, part in pairs:
        dumped[name] = repaired(part, dumped[name], (*path, name))
    return dumped


def _pairs_of_fields(value: Any, dumped: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in dumped:
        part = getattr(value, name, _MISSING)
        if part is not _MISSING:
            yield name, part


def _pairs_of_mapping(
    value: Mapping[Any, Any], dumped: dict[str, Any], path: tuple[object, ...]
) -> Iterator[tuple[str, Any]]:
    # A key that changed on the way may have lost a character; integers as keys change too.
    if list(value) != list(dumped) and (fault := first_bad_key(value, _dotted(path))):
        raise fault.refusal()
    # Of other lengths, keys fell together or a serializer wrote something else: no telling which.
    return zip(dumped, value.values()) if len(value) == len(dumped) else iter(())  # noqa: B905


def _repaired_list(value: Any, dumped: list[Any], path: tuple[object, ...]) -> list[Any]:
    _refuse_depth(path)
    is_set = isinstance(value, (set, frozenset, AbstractSet))
    # An unchanged set iterates in one order within one process, so its elements pair up too.
    if (is_set or isinstance(value, list | tuple | deque)) and len(value) == len(dumped):
        pairs = zip(value, dumped, strict=True)
        dumped = [
            repaired(part, written, (*path, index)) for index, (part, written) in enumerate(pairs)
        ]
    return _in_order(dumped, path) if is_set else dumped


def _in_order(elements: list[Any], path: tuple[object, ...]) -> list[Any]:
    """The elements of a set in the order of their texts."""
    if all(type(element) is str for element in elements):
        return sorted(elements)
    name = _dotted(path)
    return sorted(elements, key=lambda element: canonical_json(element, name)[0])


def _refuse_depth(path: tuple[object, ...]) -> None:
    if len(path) > MAX_DEPTH:
        raise too_deep(_dotted(path)).refusal()


def _refuse_lost_float(value: Any, path: tuple[object, ...]) -> None:
    if isinstance(value, float) and (fault := float_fault(value, _dotted(path))):
        raise fault.refusal()


def _refuse_mask(value: Any, dumped: str, path: tuple[object, ...]) -> None:
    if dumped and dumped == str(value):
        raise InvalidObject(
            f"field '{_dotted(path)}' is a secret, which is written as asterisks and would be lost",
            field=_dotted(path),
            hint="store where the secret is kept, not the secret; work() can look it up",
        )


def _dotted(path: tuple[object, ...]) -> str:
    return reduce(join, path, "")
