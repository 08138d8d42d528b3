"""How mistakes on the command line are told: by the option, the value, and the way out."""

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from typer.exceptions import TyperException

from delta_cli.engine.errors import ConfigError, InvalidObject

#: What pydantic, by which Typer reads values, finds wrong with them.
_NEEDED: Final = {
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "finite_number": "a number",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
}
_DASHED: Final = "what begins with '-' and is no option comes after --"


@contextmanager
def told_as_usage(**options: str) -> Generator[None]:
    """What is refused within is of the command line: a ConfigError, not of an object.

    `options`: how a field that the message begins with is typed, as `priority="--priority"`.
    """
    try:
        yield
    except InvalidObject as error:
        field, space, rest = error.message.partition(" ")
        raise ConfigError(f"{options.get(field, field)}{space}{rest}", hint=error.hint) from error


def message_of(error: TyperException) -> str:
    """What is wrong, with the value, and the nearest word there is."""
    found = _wrong_value(error)
    return found or _with_nearest(error.format_message())


def hint_of(error: TyperException, words: Sequence[str]) -> str:
    """Where to read more; and how to give a word that begins with a dash."""
    context = getattr(error, "ctx", None)
    if context is None:
        return "see: delta --help"
    see = f"see: {context.command_path} --help"
    if _takes_words(context) and _is_unknown_option(error) and "--" not in words:
        return f"{see}; {_DASHED}"
    return see


def _wrong_value(error: TyperException) -> str | None:
    errors = getattr(error.__cause__, "errors", None)
    parameter = getattr(error, "param", None)
    if errors is None or parameter is None:
        return None
    first: Any = errors()[0]
    needed = _NEEDED.get(first["type"])
    if needed is None:
        return None
    name = max(parameter.opts, key=len)
    return f"{name} must be {needed.format(**first.get('ctx', {}))}, got {_given(first['input'])}"


def _given(value: object) -> str:
    return repr(value) if isinstance(value, str) and not value.lstrip("-").isdigit() else str(value)


def _is_unknown_option(error: TyperException) -> bool:
    return type(error).__name__ == "NoSuchOption" and not getattr(error, "possibilities", None)


def _takes_words(context: Any) -> bool:
    return any(one.param_type_name == "argument" for one in context.command.params)


def _with_nearest(message: str) -> str:
    """A complaint about a word that is none of some, with the nearest of them."""
    message = message.replace(": Value error, ", ": ")
    wrong = re.search(r"'([^']*)' is not one of ('.*')", message)
    if wrong is None:
        return message
    from delta_cli.cli.nearest import meant

    return message.removesuffix(".") + meant(wrong[1], re.findall("'([^']*)'", wrong[2]))
