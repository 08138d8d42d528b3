"""JSON with an indent of two, as `json.dumps` lays it out and nearly as fast as without an indent.

The standard library's encoder in C knows no indent. It knows separators, though: what an object has
of values that take one line each is laid out by these, at once, and only what nests goes by here.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from types import NoneType
from typing import Any, Final

Default = Callable[[Any], Any]

_INDENT: Final = "  "
#: Values of these very types take one line; `default` makes text of the last two.
_FLAT: Final = frozenset((str, int, bool, float, NoneType, datetime, bytes))


def indented_json(value: Any, default: Default, begin: str = "\n") -> str:
    """The value as text, each line of it but the first beginning with `begin`.

    `default` makes something that JSON knows of what it does not.
    """
    inner = begin + _INDENT
    match value:
        case {}:
            items = _items(value, default, inner)
            return f"{{{inner}{f',{inner}'.join(items)}{begin}}}" if items else "{}"
        case list() | tuple():
            items = [indented_json(item, default, inner) for item in value]
            return f"[{inner}{f',{inner}'.join(items)}{begin}]" if items else "[]"
        case _:
            return _encoder(default, "\n").encode(value)


def _items(value: Mapping[str, Any], default: Default, begin: str) -> list[str]:
    """Names with their values, those that take one line each as many at once as stand together."""
    encode = _encoder(default, begin).encode
    items: list[str] = []
    flat: dict[str, Any] = {}
    for name, item in value.items():
        if type(item) in _FLAT or item in ({}, [], ()):
            flat[name] = item
            continue
        if flat:
            items.append(encode(flat)[1:-1])
            flat = {}
        items.append(f"{encode(name)}: {indented_json(item, default, begin)}")
    if flat:
        items.append(encode(flat)[1:-1])
    return items


@cache
def _encoder(default: Default, begin: str) -> json.JSONEncoder:
    separators = (f",{begin}", ": ")
    return json.JSONEncoder(
        ensure_ascii=False, check_circular=False, default=default, separators=separators
    )
