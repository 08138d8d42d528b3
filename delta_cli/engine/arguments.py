"""Refuses what a call is given, by the name of the argument, before anything is sent."""

from collections.abc import Callable, Sequence
from typing import Final

from delta_cli.engine.canonical import text_trouble
from delta_cli.engine.errors import ConfigError, InvalidObject
from delta_cli.engine.field_types import check_argument
from delta_cli.engine.settings import InformOptions

_MOST_SHOWN: Final = 100


def check_text(name: str, value: object) -> None:
    """Refuse what is no text, and text that Postgres cannot hold. Raises ConfigError."""
    check_argument(name, value, str)
    if text_trouble(str(value)):
        shown = repr(value)[:_MOST_SHOWN]
        raise ConfigError(f"{name} {shown} holds a character that the database cannot store")


def check_key(kind: object, object_id: object, namespace: object) -> None:
    """Refuse what can name no resource.

    Raises ConfigError for what is no text, also for an id that is a number: it is stored as text.
    Raises InvalidObject, as an inform does, for text that Postgres cannot hold.
    """
    for name, value in (("kind", kind), ("object_id", object_id), ("namespace", namespace)):
        check_argument(name, value, str)
        if trouble := text_trouble(str(value)):
            raise InvalidObject(
                f"{name} {trouble}: {repr(value)[:_MOST_SHOWN]}",
                field=name,
                hint="decode names from outside as UTF-8 before you give them to Delta",
            )


def check_names(name: str, values: Sequence[str], check: Callable[[object], str]) -> list[str]:
    """The names of a list, each as good as `check` asks. Raises ConfigError for another."""
    try:
        return [check(value) for value in values]
    except InvalidObject as error:
        raise ConfigError(f"{name}: {error.message}", hint=error.hint) from None


def check_run(kind: object, options: InformOptions, requested_by: object) -> None:
    """Refuse an inform run that cannot be stored. Raises ConfigError."""
    check_text("kind", kind)
    check_text("requested_by", requested_by)
    if options.order_by is not None:
        check_text("order_by", options.order_by)
    for key, value in options.labels.items():
        check_text("a key of labels", key)
        check_text(f"labels[{key!r}]", value)
