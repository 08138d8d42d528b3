"""Logs on stderr as events with fields: a line each, for people or as JSON.

No password and no control character of whatever was logged reaches the terminal.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from delta_cli.cli.output import to_json
from delta_cli.cli.text import escape_json, harmless, harmless_lines

#: What every record has; the rest are the fields of the event.
_OWN: Final = frozenset(
    (*vars(logging.LogRecord("", 0, "", 0, "", None, None)), "message", "asctime", "taskName")
)
_QUOTED: Final = frozenset(' "=')


class LogFormat(StrEnum):
    """How events are written."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """From where on events are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def set_up_logs(
    form: LogFormat = LogFormat.TEXT, level: LogLevel = LogLevel.WARNING, *, again: bool = True
) -> None:
    """Write Delta's events to stderr, and everybody's where the application has not set that up.

    `again` False leaves it as it is where it was called before.
    """
    if not again and logging.getLogger("delta_cli").handlers:
        return
    handler = _StderrHandler()
    handler.setFormatter(JsonFormatter() if form is LogFormat.JSON else TextFormatter())
    ours = logging.getLogger("delta_cli")
    ours.handlers = [handler]
    ours.propagate = False
    ours.setLevel(level.upper())
    # It warns of what our own events tell better: lost connections, cancelled queries.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(handler)
        root.setLevel(level.upper())


class TextFormatter(logging.Formatter):
    """`time level event key=value ...`; tracebacks follow, set in."""

    def format(self, record: logging.LogRecord) -> str:
        """One event, on one line but for its traceback."""
        event = harmless(mask_secrets(event_of(record)))
        fields = (f"{name}={_quoted(value)}" for name, value in fields_of(record).items())
        line = " ".join([_time(record), f"{record.levelname:<7}", event, *fields])
        trace = _trace(record)
        if trace is None:
            return line
        return line + "".join(f"\n  | {part}" for part in harmless_lines(trace).splitlines())


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, event, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One event."""
        value: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": mask_secrets(event_of(record)),
        }
        for name, field in fields_of(record).items():
            value.setdefault(name, _masked(field))
        trace = _trace(record)
        if trace is not None:
            value["trace"] = trace
        return escape_json(json.dumps(value, ensure_ascii=False, default=to_json))


def mask_secrets(text: str) -> str:
    """Any text with the passwords of DSNs within it replaced."""
    from delta_cli.engine import dsn

    return dsn.mask_secrets(text)


def event_of(record: logging.LogRecord) -> str:
    """The name of an event, without the facts that its message repeats of its fields."""
    from delta_cli.engine.telling import Facts

    match record.args:
        case (Facts(),):
            return str(record.msg).removesuffix(": %s")
        case _:
            return record.getMessage()


def fields_of(record: logging.LogRecord) -> Mapping[str, Any]:
    """What was logged as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _OWN}


def _masked(value: Any) -> Any:
    match value:
        case str():
            return mask_secrets(value)
        case dict():
            return {str(name): _masked(part) for name, part in value.items()}
        case list() | tuple():
            return [_masked(part) for part in value]
        case _:
            return value


def _quoted(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    text = harmless(mask_secrets(text))
    if isinstance(value, str) and (not text or _QUOTED.intersection(text)):
        return '"' + text.replace('"', '\\"') + '"'
    return text


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _trace(record: logging.LogRecord) -> str | None:
    if not record.exc_info:
        return None
    return mask_secrets(logging.Formatter().formatException(record.exc_info))


class _StderrHandler(logging.Handler):
    """Writes to whatever `sys.stderr` is at the moment: a progress bar puts itself in between."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            return
        except Exception:  # noqa: BLE001 - a log line must not break what it tells of
            self.handleError(record)
