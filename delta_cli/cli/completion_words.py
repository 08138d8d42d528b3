"""Which words a shell is offered: those that every shell reads as nothing but themselves.

Whoever writes to the database chooses the ids in it, and a shell would run what some of them say.
"""

import re
from typing import Final

_MARKS: Final = frozenset("_-./@:+=,%")
# An option to `delta`; a command's path to zsh; a process to fish.
_NO_BEGINNINGS: Final = ("-", "=", "%")
# zsh with MAGIC_EQUAL_SUBST puts a command's path there as well.
_PATH_OF_A_COMMAND: Final = re.compile("[=:]=.")
# They count as letters, and show nothing.
_UNSEEN: Final = frozenset("\u115f\u1160\u3164\uffa0")


def is_offered(word: str) -> bool:
    """Whether a word is offered; any other is typed or pasted, in quotes.

    It consists of letters and digits of any script and of `_-./@:+=,%`, so unquoted it neither
    runs, ends, expands nor hides in bash, zsh and fish.
    """
    return (
        bool(word)
        and all(map(_is_harmless, word))
        and not word.startswith(_NO_BEGINNINGS)
        and not _PATH_OF_A_COMMAND.search(word)
    )


def _is_harmless(character: str) -> bool:
    if character in _MARKS:
        return True
    is_letter_or_digit = character.isalpha() or character.isdecimal()
    return is_letter_or_digit and character.isprintable() and character not in _UNSEEN
