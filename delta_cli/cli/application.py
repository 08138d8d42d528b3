"""Finds the application: the `Config` that `module:attribute` or a file names.

An application that does not import is told with its own error's last line and where that arose.
"""

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import Terminated, note
from delta_cli.engine.errors import ConfigError, DeltaError

if TYPE_CHECKING:
    from delta_cli.engine.config import Config

DEFAULT_ATTRIBUTE: Final = "config"
_MEND: Final = "mend it; --debug shows the whole traceback"
HOW: Final = "name it as module:config, with --app, DELTA_APP, or app = ... in delta.toml"


def require_application(settings: Settings, *, announce: bool = True) -> "Config":
    """The application's Config, as `find_application()`. Raises ConfigError where there is none."""
    config = find_application(settings, announce=announce)
    if config is None:
        raise ConfigError("no application is named", hint=HOW)
    return config


def find_application(settings: Settings, *, announce: bool = True) -> "Config | None":
    """The application's Config, in the schema that was asked for; None where none is named.

    `announce`: say so when it has a schema of its own, which other commands cannot know of.
    """
    if settings.app.value is None:
        return None
    config = load_config(settings.app.value)
    if settings.schema.value is not None:
        return _replaced(config, schema=settings.schema.value)
    if announce and config.schema != settings.schema_name:
        note(
            f"the application's schema is {config.schema!r}; commands that do not load it, such as "
            f"delta list, look in {settings.schema_name!r} unless you set "
            f"DELTA_SCHEMA={config.schema} or give --schema {config.schema}"
        )
    return config


def not_started(config: "Config | None") -> "Config | None":
    """The application for a command that starts no worker: what operators have set stays."""
    return None if config is None else _replaced(config, namespaces={})


def load_config(spec: str) -> "Config":
    """Import `module:attribute` or `path/to/file.py:attribute` and take its Config."""
    from delta_cli.engine.config import Config

    place, attribute = _split(spec)
    value: Any = _import(place, spec)
    for name in attribute.split("."):
        value = _attribute(value, name, place, spec)
    if callable(value) and not isinstance(value, type):
        value = _called(value, spec)
    if not isinstance(value, Config):
        raise ConfigError(
            f"application {spec!r} is {type(value).__name__}, not a Config",
            hint="point it at config = Config(controllers=[...])",
        )
    return value


def _split(spec: str) -> tuple[str, str]:
    place, colon, attribute = spec.rpartition(":")
    # A colon within a path, as after a drive letter, is none of ours.
    if not colon or "/" in attribute or "\\" in attribute or attribute.endswith(".py"):
        return spec, DEFAULT_ATTRIBUTE
    if not place or not attribute:
        raise ConfigError(f"application {spec!r} is incomplete", hint=HOW)
    return place, attribute


def _import(place: str, spec: str) -> ModuleType:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return _import_file(Path(place)) if _is_file(place) else importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and f"{place}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"there is no module {error.name!r} in {folder} or among the installed packages",
                hint=f"run delta in the application's folder, or {HOW}",
            ) from error
        raise _not_importable(spec, error) from error
    except Terminated:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, ConfigError) and _told_by_us(error):
            raise
        raise _not_importable(spec, error) from error


def _is_file(place: str) -> bool:
    return place.endswith(".py") or "/" in place


def _import_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise ConfigError(f"there is no file {file}", hint=HOW)
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    found = importlib.util.spec_from_file_location(file.stem, file)
    if found is None or found.loader is None:
        raise ConfigError(f"{file} is not a Python file", hint=HOW)
    module = importlib.util.module_from_spec(found)
    # Types written as strings are looked up in their module.
    sys.modules[file.stem] = module
    found.loader.exec_module(module)
    return module


def _told_by_us(error: BaseException) -> bool:
    return error.__traceback__ is not None and _culprit(error) is None


def _attribute(value: Any, name: str, place: str, spec: str) -> Any:
    # A module may make its Config when it is asked for, and refuse for a reason of its own.
    try:
        return getattr(value, name)
    except AttributeError:
        raise ConfigError(f"application {spec!r}: {place} has no {name!r}", hint=HOW) from None
    except Terminated:
        raise
    except (Exception, SystemExit) as error:
        raise _not_importable(spec, error) from error


def _called(function: Any, spec: str) -> Any:
    try:
        return function()
    except Terminated:
        raise
    except (Exception, SystemExit) as error:
        raise _not_importable(spec, error) from error


def _not_importable(spec: str, error: BaseException) -> ConfigError:
    last_line = traceback.format_exception_only(error)[-1].strip()
    where = _culprit(error)
    at = f"\n{where}" if where else ""
    if isinstance(error, DeltaError):
        return ConfigError(f"application {spec!r}: {error.message}{at}", hint=error.hint or _MEND)
    return ConfigError(
        f"application {spec!r} does not import: {last_line}{at}",
        hint=_MEND,
    )


def _culprit(error: BaseException) -> str | None:
    """The file and line that raised, in the application or what it imports: the application's own
    where Delta refuses what it was given.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"at {error.filename}, line {error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and "importlib" not in frame.filename
    ]
    if isinstance(error, DeltaError):
        frames = [frame for frame in frames if _is_of_an_application(frame.filename)] or frames
    return f"at {frames[-1].filename}, line {frames[-1].lineno}" if frames else None


def _is_of_an_application(file: str) -> bool:
    """Whether somebody wrote it who uses Delta: what dataclasses make is of no file."""
    ours = Path(__file__).parents[1]
    path = Path(file)
    return path.is_file() and (not path.is_relative_to(ours) or "examples" in path.parts)


def _replaced(config: "Config", **settings: Any) -> "Config":
    from dataclasses import replace

    return replace(config, **settings)
