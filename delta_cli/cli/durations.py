"""Durations and moments as people type them: `90s`, `5m`, `1h30m`, or a time in ISO 8601."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from delta_cli.engine.errors import ConfigError

_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+")
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
            f"{option} {text!r} is not a duration", hint="write it as 500ms, 90s, 5m, 1h30m or 7d"
        )
    return duration


def duration_of(text: str) -> timedelta | None:
    """The duration that the text is, or None."""
    if _DURATION.fullmatch(text.strip()) is None:
        return None
    try:
        parts = (float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
        return sum(parts, timedelta(0))
    except OverflowError:
        return None


def parse_moment(text: str, option: str, now: datetime) -> datetime:
    """`5m` is five minutes before `now`, else a time. Raises ConfigError, naming the option."""
    ago = duration_of(text)
    if ago is None:
        return _parse_time(text, option)
    try:
        return now - ago
    except OverflowError:
        raise ConfigError(
            f"{option} {text!r} is before the first of all years", hint="name a later time"
        ) from None


def _parse_time(text: str, option: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(
            f"{option} {text!r} is neither a time nor a duration",
            hint="write it as 5m, for five minutes ago, or as 2026-01-31T12:00:00Z; "
            "without a zone it is UTC",
        ) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
