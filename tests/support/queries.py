"""The query constants of the engine, found by their modules and ready to be prepared."""

import importlib
import pkgutil
import re
from dataclasses import dataclass
from types import ModuleType

from delta_cli.engine import queries

_PARAMETER = re.compile(r"%(?:\((\w+)\)[sbt]|(%)|(.))")


@dataclass(frozen=True)
class Query:
    """One constant. `names` are its parameters in the order of their numbers, from 1."""

    module: str
    name: str
    text: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


def query_modules() -> list[ModuleType]:
    """Every module of query constants."""
    names = [module.name for module in pkgutil.iter_modules(queries.__path__)]
    return [importlib.import_module(f"{queries.__name__}.{name}") for name in names]


def query_constants() -> list[Query]:
    """Every query constant."""
    return [
        numbered(f"{module.__name__.rpartition('.')[2]}", name, value)
        for module in query_modules()
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str)
    ]


def numbered(module: str, name: str, text: str) -> Query:
    """`%(name)s` and `%(name)b` become $1, $2 and so on, as psycopg does it."""
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        if match[2]:
            return "%"
        assert match[1], f"{module}.{name}: {match[0]!r} is no named parameter"
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    # What migrations say of a schema that is theirs to make.
    text = text.replace("{schema}", "delta")
    return Query(module, name, _PARAMETER.sub(number, text), tuple(names))
