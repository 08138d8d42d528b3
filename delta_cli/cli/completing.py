"""What the shell offers when somebody presses Tab: harmless words from the database, or none.

Completers get the words typed so far; callbacks of commands do not run for them.
"""

from collections.abc import Callable
from inspect import Parameter
from typing import Any, Final, TypeAlias

from delta_cli.cli.completion_words import is_offered
from delta_cli.cli.settings import resolve_settings

#: Takes `ctx` and `incomplete`, or the latter alone: Typer goes by these names.
Completer: TypeAlias = Callable[..., list[str]]


def _complete(wanted: str) -> Completer:
    def complete(ctx: Any, incomplete: str) -> list[str]:
        from delta_cli.engine.store.suggestions import Suggested
        from delta_cli.engine.suggestions import suggestions

        try:
            settings = resolve_settings(
                dsn=_given(ctx, "dsn"),
                app=None,
                schema=_given(ctx, "schema"),
                profile=_given(ctx, "profile"),
            )
            kind = ctx.params.get("kind")
            found = suggestions(
                settings.database(),
                settings.schema_name,
                Suggested(wanted),
                incomplete,
                kind=kind if isinstance(kind, str) else None,
            )
            return [word for word in found if is_offered(word)]
        except Exception:  # noqa: BLE001 - a wrong setting is told when the command runs
            return []

    return complete


def _given(ctx: Any, name: str) -> str | None:
    """A shared option, which may stand before or after the command's name."""
    while ctx is not None:
        value = ctx.params.get(name)
        if isinstance(value, str) and value:
            return value
        ctx = ctx.parent
    return None


def in_scope(ctx: Any, incomplete: str) -> list[str]:
    """The names of what the word before says: a kind, a namespace, a worker or a tick."""
    scope = ctx.params.get("what")
    return _complete(str(scope))(ctx, incomplete) if scope else []


#: The built-in ticks, and those that some process has registered.
ticks = _complete("tick")


def _categories(ctx: Any, incomplete: str) -> list[str]:  # noqa: ARG001 - by this name typer gives it
    from delta_cli.engine.model.event import EventCategory

    return [category for category in EventCategory if category.startswith(incomplete)]


def _states(ctx: Any, incomplete: str) -> list[str]:  # noqa: ARG001 - by this name typer gives it
    from delta_cli.engine.states import ResourceState

    return [state for state in ResourceState if state.startswith(incomplete)]


#: What the parameters of these names take, in every command.
_BY_NAME: Final[dict[str, Completer]] = {
    "category": _categories,
    "state": _states,
    "kind": _complete("kind"),
    "namespace": _complete("namespace"),
    "object_id": _complete("object id"),  # of the kind that was typed before it
    "ids": _complete("object id"),
}


def completed(parameter: Parameter) -> Parameter:
    """The parameter of a command, with its completer where its name says which."""
    completer = _BY_NAME.get(parameter.name)
    for info in getattr(parameter.annotation, "__metadata__", ()):
        if completer is not None and getattr(info, "autocompletion", completer) is None:
            info.autocompletion = completer
    return parameter
