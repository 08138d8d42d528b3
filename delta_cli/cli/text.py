"""Makes untrusted text harmless: what could drive a terminal or hide is shown as an escape."""

import re
import unicodedata
from typing import Final

CUT: Final = "…"
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Raw in JSON these are legal and do harm: C1 controls, bidi overrides, invisible and format
# characters, line separators, surrogates.
_JSON_DANGEROUS: Final = re.compile(
    "[\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def harmless(text: str) -> str:
    """One line of text that shows control, format and bidi characters as escapes."""
    if text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def show_edges(text: str) -> str:
    """The text with spaces at its ends as escapes: in a table nobody sees them."""
    begin = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    if (begin, end) == (0, len(text)):
        return text
    edges = (range(begin), range(max(begin, end), len(text)))
    before, after = ("".join(_escape(text[index]) for index in edge) for edge in edges)
    return f"{before}{text[begin:end]}{after}"


def harmless_lines(text: str) -> str:
    """Like `harmless`, for text that may have several lines."""
    return "\n".join(harmless(line) for line in text.splitlines())


def cut(text: str, length: int) -> str:
    """At most `length` characters, the end replaced by `…`."""
    return text if len(text) <= length else text[: max(0, length - 1)] + CUT


def escape_json(text: str) -> str:
    """JSON of the same value, without characters that a terminal could obey."""
    if text.isascii() and "\x7f" not in text:
        return text  # nearly always, and a search would take as long as the encoding
    return _JSON_DANGEROUS.sub(lambda found: _json_escape(found[0]), text)


def _shown(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    if character in _SHORT:
        return _SHORT[character]
    return _escape(character)


def _escape(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:  # noqa: PLR2004
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004


def _json_escape(character: str) -> str:
    code = ord(character)
    if code <= 0xFFFF:  # noqa: PLR2004
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
