"""Refuses settings of a wrong type by their name, with an example that is right.

What a field takes is what its annotation says, so that there is no second list of types to keep.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin

from delta_cli.engine.errors import ConfigError

#: How the types of settings are told, and an example of each.
_WORDS: Final[dict[Any, tuple[str, str]]] = {
    bool: ("True or False", "True"),
    int: ("a whole number", "10"),
    float: ("a number", "2.0"),
    str: ("text", "'text'"),
    timedelta: ("a timedelta", "timedelta(seconds=5)"),
    datetime: ("a datetime", "datetime.now(UTC)"),
    NoneType: ("None", "None"),
    object: ("anything", "..."),
}
_MOST_SHOWN: Final = 100


def check_fields(settings: Any) -> None:
    """Refuse a dataclass of which a field's value is of another type than its annotation says.

    Raises ConfigError, which names the field and the value; a field without `repr` is not shown.
    """
    for name, wanted, is_shown in _wanted(type(settings)):
        value = getattr(settings, name)
        if not wanted.takes(value):
            raise wanted.refusal(name, value if is_shown else type(value))
        if wanted.items is not None and isinstance(value, Mapping):
            key_type, item_type = wanted.items
            for key, item in value.items():
                if not key_type.takes(key):
                    raise key_type.refusal(f"a key of {name}", key)
                if not item_type.takes(item):
                    raise item_type.refusal(f"{name}[{key!r}]", item)


def check_argument(name: str, value: object, annotation: Any) -> None:
    """Refuse an argument of another type than this. Raises ConfigError, which names both."""
    wanted = _wanted_by(annotation)
    if not wanted.takes(value):
        raise wanted.refusal(name, value)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What an annotation takes; `items`: keys and values of a mapping."""

    types: tuple[type[Any], ...]
    words: str
    example: str
    items: tuple["_Wanted", "_Wanted"] | None = None

    def takes(self, value: object) -> bool:
        if type(value) in self.types:
            return True
        if isinstance(value, bool) and int in self.types:
            return False  # it would pass for a number
        # Text is a sequence too, but of letters, which nobody means.
        is_text = isinstance(value, (str, bytes)) and Sequence in self.types
        return isinstance(value, self.types) and not is_text

    def refusal(self, name: str, value: object) -> ConfigError:
        example = self.example
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if timedelta in self.types and is_number:
            example = f"timedelta(seconds={value!r})"
        return ConfigError(
            f"{name} must be {self.words}, got {repr(value)[:_MOST_SHOWN]}",
            hint=f"write {name}={example}" if name.isidentifier() else f"such as {example}",
        )


@cache
def _wanted(cls: type[Any]) -> tuple[tuple[str, _Wanted, bool], ...]:
    return tuple((one.name, _wanted_by(one.type), one.repr) for one in fields(cls))


@cache
def _wanted_by(annotation: Any) -> _Wanted:
    if isinstance(annotation, UnionType):
        some = [_wanted_by(one) for one in get_args(annotation)]
        types = tuple(one for each in some for one in each.types)
        return _Wanted(types, " or ".join(each.words for each in some), some[0].example)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Sequence:
        name = _name_of(arguments[0])
        words, example = _WORDS.get(arguments[0], (f"{name}s", f"{name}(...)"))
        return _Wanted((Sequence,), f"a list of {words}", f"[{example}]")
    if origin is Mapping:
        key, value = map(_wanted_by, arguments)
        example = f"{{{key.example}: {value.example}}}"
        words = f"a mapping of {key.words} to {value.words}"
        return _Wanted((Mapping,), words, example, (key, value))
    cls = _class_of(annotation)
    words, example = _WORDS.get(cls, (_with_article(cls.__name__), f"{cls.__name__}(...)"))
    return _Wanted((float, int) if cls is float else (cls,), words, example)


def _name_of(annotation: Any) -> str:
    # A class that is named before it can be imported is text.
    return annotation if isinstance(annotation, str) else _class_of(annotation).__name__


def _with_article(name: str) -> str:
    return f"an {name}" if name[0] in "AEIOU" else f"a {name}"


def _class_of(annotation: Any) -> type[Any]:
    found = get_origin(annotation) or annotation
    return found if isinstance(found, type) else object
