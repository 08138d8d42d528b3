"""Text measured, cut and wrapped by the columns of a terminal: wide characters take two."""

import shutil

from delta_cli.cli.text import CUT


def terminal_width() -> int:
    """The columns of the terminal."""
    return shutil.get_terminal_size().columns


def width_of(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth

    width = wcswidth(text)
    return width if width >= 0 else len(text)


def cut_to_width(text: str, width: int) -> str:
    """At most `width` columns of a terminal."""
    if width_of(text) <= width:
        return text
    while text and width_of(text) > width - 1:
        text = text[:-1]
    return text + CUT


def wrap_to_width(text: str, width: int) -> str:
    """As many lines as it takes, broken between words where that is possible."""
    lines: list[str] = []
    while width_of(text) > width:
        end = _longest_start(text, width)
        space = text.rfind(" ", 1, end + 1)
        end = space if space > 0 else end
        lines.append(text[:end])
        text = text[end:].lstrip()
    return "\n".join([*lines, text])


def _longest_start(text: str, width: int) -> int:
    """How many characters fit, at least one."""
    end = min(len(text), width)
    while end > 1 and width_of(text[:end]) > width:
        end -= 1
    return end
