"""How times, counts and ages are said: short, and as wide as a column allows."""

from datetime import UTC, datetime
from typing import Final

from rich.cells import cell_len, set_cell_size

from delta_cli.cli.text import harmless
from delta_cli.engine.model.pause import Pause

_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400
#: In so few columns a beginning and an end tell less than one beginning.
_ENDS: Final = 10


def shown(text: object) -> str:
    """Text from outside as one line that does no harm; a dash for nothing."""
    return "-" if text is None or text == "" else harmless(str(text))


def shown_width(text: str | None) -> int:
    """How many columns text takes as it is shown."""
    if text and text.isascii() and text.isprintable():  # nearly always, and measuring takes long
        return len(text)
    return cell_len(shown(text))


def fit(text: str, width: int, *, cut: str) -> str:
    """Text cut to a width in columns, its end replaced by a sign."""
    if width <= 0:
        return ""
    if len(text) > 4 * width:  # measuring what is very long takes long
        text = text[: 4 * width]
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + cut


def fit_ends(text: str, width: int, *, cut: str) -> str:
    """Text cut to a width in its middle: many names differ at their ends only."""
    if len(text) > 8 * width:  # measuring what is very long takes long
        text = text[: 4 * width] + text[-4 * width :]
    if cell_len(text) <= width:
        return text
    end = text[-(width // 3) :] if width > _ENDS else ""
    while cell_len(end) > width // 3:
        end = end[1:]
    return fit(text[: -len(end)] if end else text, width - cell_len(end), cut=cut) + end


def chopped(text: str, width: int) -> list[str]:
    """Text in pieces of at most so many columns, broken at spaces where there are any."""
    pieces: list[str] = []
    while text:
        piece = _beginning(text, width)
        pieces.append(piece.rstrip())
        text = text[len(piece) :].lstrip()
    return pieces


def _beginning(text: str, width: int) -> str:
    """As much of a text as fits, up to a space if one is in its second half."""
    length = min(len(text), width)
    while length > 1 and cell_len(text[:length]) > width:
        length -= 1
    if length == len(text):
        return text
    space = text.rfind(" ", length // 2, length + 1)
    return text[: space + 1] if space > 0 else text[:length]


def short_count(value: int) -> str:
    """A number in at most five characters: 9,999, 12.3k, 345k, 6.7M."""
    if value < 10_000:  # noqa: PLR2004 - what fits as it is
        return f"{value:,}"
    for unit, size in (("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)):
        if value < 999.5 * size:
            number = value / size
            return f"{number:.1f}{unit}" if number < 99.95 else f"{number:.0f}{unit}"  # noqa: PLR2004
    return ">999G"


def age(seconds: float | None) -> str:
    """A span of time in at most five characters: 0.8s, 41s, 1m02, 3h20, 12d."""
    if seconds is None:
        return "-"
    if seconds < 0:
        return f"-{age(-seconds)}"
    if seconds < 9.95:  # noqa: PLR2004 - below, tenths are worth showing
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
    return age(seconds) if seconds > 0 else f"late {age(-seconds)}"


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


def pause_words(pause: Pause | None, now: datetime) -> str:
    """Who paused something, for how long and why; nothing where it is not paused."""
    if pause is None:
        return ""
    left_s = None if pause.until is None else (pause.until - now).total_seconds()
    lasting = "" if left_s is None else f" for {age(max(0.0, left_s))}"
    reason = "" if pause.reason is None else f": {shown(pause.reason)}"
    return f"by {shown(pause.actor)}{lasting}{reason}"
