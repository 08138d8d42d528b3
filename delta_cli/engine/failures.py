"""What users' code raised, as text that can be stored and shown: no password, nothing unstorable.

An exception's own text is the user's code too: asking for it may raise.
"""

import traceback
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from delta_cli.engine.dsn import mask_secrets

_MOST_MESSAGE: Final = 4096
_MOST_TRACE: Final = 4096
#: Masking reads this much: more than is kept, so that no cut password is left at the end.
_MOST_MASKED: Final = 16_384
#: Of a group's errors, so many are asked what they say: more would not fit.
_MOST_LEAVES: Final = 100
#: The text of a task group's own, which says nothing of what happened.
_NO_TEXT: Final = "unhandled errors in a TaskGroup"


def message_of(error: BaseException) -> str:
    """What an exception says; the name of its type when it says nothing or cannot say it.

    A group says what its leaves say: `2 errors: ValueError: a; KeyError: 'b'`.
    """
    if isinstance(error, BaseExceptionGroup):
        return _message_of_group(error)
    try:
        text = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - an exception whose text cannot be had is still an error
        text = ""
    return _storable(text[:_MOST_MASKED])[:_MOST_MESSAGE] or type(error).__name__


def description_of(error: BaseException) -> str:
    """The type of an exception and what it says."""
    return described_as(error, message_of(error))


def described_as(error: BaseException, message: str) -> str:
    """As `description_of`, of an exception whose `message_of` is known: masking it takes time."""
    return f"{type(error).__name__}: {message}"[:_MOST_MESSAGE]


def leaves_of(error: BaseException) -> Iterator[BaseException]:
    """What an exception group, of groups too, holds in the end; another error is its own leaf."""
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseExceptionGroup):
            waiting.extend(reversed(one.exceptions))
        else:
            yield one


def trace_of(error: BaseException) -> str:
    """The end of an exception's traceback, which says what happened and where."""
    try:
        trace = "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - as of groups within groups beyond the limit of recursion
        trace = ""
    return _storable(trace[-_MOST_MASKED:])[-_MOST_TRACE:]


def _message_of_group(group: BaseExceptionGroup[Any]) -> str:
    count = sum(1 for _ in leaves_of(group))
    said = "; ".join(description_of(leaf) for leaf in islice(leaves_of(group), _MOST_LEAVES))
    leaves = f"{count} error{'' if count == 1 else 's'}: {said}"
    text = _storable(group.message[:_MOST_MASKED])
    told = leaves if text == _NO_TEXT else f"{text}: {leaves}"
    return told[:_MOST_MESSAGE]


def _storable(text: str) -> str:
    """Text that Postgres accepts, in a text column and in jsonb, and that holds no password."""
    clean = text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")
    return mask_secrets(clean)
