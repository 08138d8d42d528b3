"""One look of `--watch`: what it would print, kept until it is known whether that is new."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from delta_cli.cli.widths import cut_to_width, wrap_to_width

#: Where every record of a watched list has the time of its look.
SNAPSHOT_AT: Final = "snapshot_at"
#: What time alone changes.
_AGES: Final = frozenset(("at", "heartbeat_age_s"))

# The screen beside the ordinary one, its cursor hidden: what stood before comes back at the end.
ENTER: Final = "\033[?1049h\033[?25l"
LEAVE: Final = "\033[?25h\033[?1049l"
_HOME: Final = "\033[H"
_END_OF_LINE: Final = "\033[K"
_REST: Final = "\033[J"


@dataclass(frozen=True, slots=True)
class Stale:
    """That there is no newer look, and `why`. `age_s`: how long ago the last one was."""

    why: str
    age_s: float


@dataclass(slots=True)
class Frame:
    """What was printed at `at`. `seen`: what of the records and remarks time alone leaves.

    `remarks`: for a person, beside the data; `lasting`: what of each time alone leaves.
    """

    at: datetime
    lines: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    lasting: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def see(self, record: Mapping[str, Any]) -> None:
        """Take note of a record that is printed."""
        self.seen.append(json.dumps(_lasting(record), default=str, sort_keys=True))

    def remark(self, text: str, lasting: str) -> None:
        """Take a remark, and note of what of it lasts."""
        self.remarks.append(text)
        self.lasting.append(lasting)
        self.seen.append(lasting)

    def is_same_as(self, other: "Frame | None") -> bool:
        """Whether nothing but the time has changed since then."""
        return other is not None and self.seen == other.seen

    def screenful(self, columns: int, rows: int, stale: Stale | None = None) -> str:
        """The codes and text that draw it over the one before, cut to the terminal's size.

        Each line is overwritten, not erased first: erased lines flicker.
        """
        age = "" if stale is None else f", {stale.age_s:.0f} s old"
        title = f"{self.at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}{age}, Ctrl-C ends"
        why = [] if stale is None else wrap_to_width(stale.why, columns).splitlines()
        return _drawn([title, *why, "", *self.text().splitlines()], columns, rows)

    def text(self) -> str:
        """All of it, for who can scroll."""
        return "\n".join([*self.lines, *(f"({remark})" for remark in self.remarks)])


def screenful_of_nothing(columns: int, rows: int, stale: Stale) -> str:
    """The codes and text that draw why there has been no look yet."""
    title = f"nothing seen for {stale.age_s:.0f} s, Ctrl-C ends"
    return _drawn([title, *wrap_to_width(stale.why, columns).splitlines()], columns, rows)


def _drawn(lines: Sequence[str], columns: int, rows: int) -> str:
    if len(lines) > rows - 1:
        hidden = len(lines) - (rows - 2)
        lines = [*lines[: rows - 2], f"({hidden} more lines)"]
    drawn = (f"{cut_to_width(line, columns)}{_END_OF_LINE}\n" for line in lines)
    return f"{_HOME}{''.join(drawn)}{_REST}"


def _lasting(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _lasting(one) for name, one in value.items() if name not in _AGES}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_lasting(one) for one in value]
    return value
