"""The signs that the dashboard draws with: of Unicode, or of ASCII where a terminal has no more."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One set of signs, each one column wide. `bars` grow from nothing to all."""

    delta: str
    live: str
    poll: str
    lost: str
    mark: str
    cursor: str
    up: str
    down: str
    cut: str
    bars: str
    rule: str
    differs: str
    separator: str


UNICODE: Final = Glyphs(
    delta="Δ",
    live="●",
    poll="◐",
    lost="○",
    mark="*",
    cursor="▸",
    up="↑",
    down="↓",
    cut="…",
    bars="▁▂▃▄▅▆▇█",
    rule="─",
    differs="≠",
    separator="·",
)
ASCII: Final = Glyphs(
    delta="D",
    live="*",
    poll="o",
    lost="!",
    mark="*",
    cursor=">",
    up="^",
    down="v",
    cut="~",
    bars="_.:-=+*#",
    rule="-",
    differs="#",
    separator="-",
)


def bars(values: list[int], signs: str) -> str:
    """A row of bars, the highest value the highest bar; a value of nothing is the lowest."""
    highest = max(values, default=0)
    if highest <= 0:
        return signs[0] * len(values)
    top = len(signs) - 1
    return "".join(signs[0 if value <= 0 else max(1, value * top // highest)] for value in values)
