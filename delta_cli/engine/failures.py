"""What users' code raised, as text that can be stored and shown: no password, nothing unstorable.

An exception's own text is the user's code too: asking for it may raise.
"""

import traceback
from typing import Final

from delta_cli.engine.dsn import mask_secrets

_MOST_MESSAGE: Final = 4096
_MOST_TRACE: Final = 4096
#: Masking reads this much: more than is kept, so that no cut password is left at the end.
_MOST_MASKED: Final = 16_384


def message_of(error: BaseException) -> str:
    """What an exception says; the name of its type when it says nothing or cannot say it."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an exception whose text cannot be had is still an error
        text = ""
    return _storable(text[:_MOST_MASKED])[:_MOST_MESSAGE] or type(error).__name__


def description_of(error: BaseException) -> str:
    """The type of an exception and what it says."""
    return f"{type(error).__name__}: {message_of(error)}"[:_MOST_MESSAGE]


def trace_of(error: BaseException) -> str:
    """The end of an exception's traceback, which says what happened and where."""
    trace = "".join(traceback.format_exception(error))
    return _storable(trace[-_MOST_MASKED:])[-_MOST_TRACE:]


def _storable(text: str) -> str:
    """Text that Postgres accepts, in a text column and in jsonb, and that holds no password."""
    clean = text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")
    return mask_secrets(clean)
