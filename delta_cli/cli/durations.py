"""Durations and moments as people type them: `90s`, `5m`, `2h`, `7d`, or a time in ISO 8601."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from delta_cli.engine.errors import ConfigError

_DURATION: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m|h|d)")
_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


def parse_duration(text: str, option: str) -> timedelta:
    """`5m` is five minutes. Raises ConfigError, naming the option."""
    duration = duration_of(text)
    if duration is None:
        raise ConfigError(
            f"{option} {text!r} is not a duration", hint="write it as 500ms, 90s, 5m, 2h or 7d"
        )
    return duration


def duration_of(text: str) -> timedelta | None:
    """The duration that the text is, or None."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        return None
    try:
        return float(found["number"]) * _UNITS[found["unit"]]
    except OverflowError:
        return None


def parse_time(text: str, option: str) -> datetime:
    """A time in ISO 8601, in UTC where it names no zone. Raises ConfigError, naming the option."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(
            f"{option} {text!r} is not a time",
            hint="write it as 2026-01-31T12:00:00Z; without a zone it is UTC",
        ) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
