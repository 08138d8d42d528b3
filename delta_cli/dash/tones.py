"""The tones of text: what it means, from which a style sheet makes colours. Words say it too."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from rich.style import Style
from rich.text import Text

from delta_cli.engine.model.event import EventCategory
from delta_cli.engine.states import ResourceState


class Tone(StrEnum):
    """What a piece of text means."""

    PLAIN = "plain"
    OK = "ok"
    BUSY = "busy"
    WARN = "warn"
    BAD = "bad"
    MUTED = "muted"
    STRONG = "strong"


#: Component classes of widgets that draw in tones; `dash.tcss` gives them their colours.
COMPONENTS: Final = {f"tone--{tone.value}" for tone in Tone}

Piece = tuple[str, Tone]

_S, _T = ResourceState, Tone
OF_STATE: Final = {
    _S.UNKNOWN: _T.MUTED,
    _S.SCHEDULED: _T.BUSY,
    _S.PENDING: _T.BUSY,
    _S.SYNCED: _T.OK,
    _S.FAILED: _T.WARN,
    _S.DEGRADED: _T.BAD,
    _S.EXPIRED: _T.BUSY,
    _S.DELETED: _T.MUTED,
}
OF_CATEGORY: Final = {
    EventCategory.OBJECT_SYNCED: _T.OK,
    EventCategory.OBJECT_FAILED: _T.WARN,
    EventCategory.OBJECT_DELETED: _T.MUTED,
    EventCategory.OBJECT_INVALIDATED: _T.BUSY,
    EventCategory.OBJECT_RETRIED: _T.BUSY,
    EventCategory.OBJECT_RESCUED: _T.WARN,
}
#: Tones as Rich knows them without a style sheet, for text in dialogs and panes.
_RICH: Final = {
    _T.PLAIN: "",
    _T.OK: "green",
    _T.BUSY: "cyan",
    _T.WARN: "yellow",
    _T.BAD: "bold red",
    _T.MUTED: "dim",
    _T.STRONG: "bold",
}


def rich_style(tone: Tone) -> Style:
    """A tone for text that is not drawn line by line."""
    return Style.parse(_RICH[tone])


def text_of(pieces: Sequence[Piece]) -> Text:
    """Pieces as one text, in which nothing is markup."""
    text = Text(no_wrap=False)
    for words, tone in pieces:
        text.append(words, rich_style(tone))
    return text
