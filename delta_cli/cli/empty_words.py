"""Refuses options and arguments that are typed as empty text.

An empty option is most often a variable of the shell that is unset. To pass over it would mean
another database, another profile, or all kinds instead of one.
"""

from typing import Any, Final

from delta_cli.engine.errors import ConfigError

_HINT: Final = "give it a value, or leave it out; is it a variable that is not set?"


def refuse_empty(context: Any) -> None:
    """Raise ConfigError where the command line gives an empty value, also before the command."""
    while context is not None:
        for parameter in context.command.params:
            if _is_typed(context, parameter) and _is_empty(parameter, context):
                raise ConfigError(f"{_name(parameter)} is empty", hint=_HINT)
        context = context.parent


def _is_typed(context: Any, parameter: Any) -> bool:
    """Whether it comes from the command line: an empty variable counts as not set."""
    source = context.get_parameter_source(parameter.name)
    return source is not None and source.name == "COMMANDLINE"


def _is_empty(parameter: Any, context: Any) -> bool:
    value = context.params.get(parameter.name)
    if parameter.param_type_name == "argument":
        return value == ""  # of several, psql may be given empty ones
    return "" in value if isinstance(value, (list, tuple)) else value == ""


def _name(parameter: Any) -> str:
    """As it is typed: the long form of an option, an argument in capitals."""
    if parameter.param_type_name == "argument":
        return parameter.name.upper()
    return max(parameter.opts, key=len)
