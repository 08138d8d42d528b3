"""How times, counts and ages are said: short, and as wide as a column allows."""

from datetime import UTC, datetime
from typing import Final

from rich.cells import cell_len, set_cell_size

from delta_cli.cli.text import harmless

_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400


def shown(text: object) -> str:
    """Text from outside as one line that does no harm; a dash for nothing."""
    return "-" if text is None or text == "" else harmless(str(text))


def fit(text: str, width: int, *, cut: str) -> str:
    """Text cut to a width in columns, its end replaced by a sign."""
    if width <= 0:
        return ""
    if len(text) > 4 * width:  # measuring what is very long takes long
        text = text[: 4 * width]
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + cut


def age(seconds: float | None) -> str:
    """A span of time in at most five characters: 0.8s, 41s, 1m02, 3h20, 12d."""
    if seconds is None:
        return "-"
    if seconds < 0:
        return f"-{age(-seconds)}"
    if seconds < 10:  # noqa: PLR2004 - below, tenths are worth showing
        return f"{seconds:.1f}s"
    if seconds < _MINUTE:
        return f"{seconds:.0f}s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f}m{seconds % _MINUTE:02.0f}".replace("m60", "m59")
    if seconds < _DAY:
        return f"{seconds // _HOUR:.0f}h{seconds % _HOUR // _MINUTE:02.0f}"
    return f"{seconds // _DAY:.0f}d"


def since(at: datetime | None, now: datetime) -> str:
    """How long ago a time was."""
    return "-" if at is None else age(max(0.0, (now - at).total_seconds()))


def until(at: datetime | None, now: datetime) -> str:
    """How long it takes until a time, or how long that has passed."""
    if at is None:
        return "-"
    seconds = (at - now).total_seconds()
    return age(seconds) if seconds > 0 else f"due {age(-seconds)}"


def count(value: int | None) -> str:
    """A number with thousands apart; a dash for none."""
    return "-" if value is None else f"{value:,}"


def milliseconds(value: float | None) -> str:
    """How long a work took."""
    if value is None:
        return "-"
    return f"{value:.0f}ms" if value < 1_000 else f"{value / 1_000:.1f}s"  # noqa: PLR2004


def clock(at: datetime | None, *, thousandths: bool = False) -> str:
    """The time of day, UTC."""
    if at is None:
        return "-"
    text = at.astimezone(UTC).strftime("%H:%M:%S.%f")
    return text[:12] if thousandths else text[:8]


def moment(at: datetime | None) -> str:
    """Day and time, UTC."""
    return "-" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
