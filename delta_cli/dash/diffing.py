"""The drift of a resource: what is desired beside what was synced last. No I/O."""

import json
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any, Final

from rich.cells import cell_len

from delta_cli.cli.text import harmless, harmless_lines
from delta_cli.dash.glyphs import Glyphs
from delta_cli.dash.tones import Piece, Tone
from delta_cli.dash.words import fit, shown
from delta_cli.engine.changes import Change
from delta_cli.engine.model.resource_row import ResourceRow

#: From so many columns on there is room for two objects side by side.
_BESIDE: Final = 44
_MOST_CHANGES: Final = 500
#: Comparing takes the square of the lines, and nobody reads more.
_MOST_LINES: Final = 400


def diff_pieces(row: ResourceRow, glyphs: Glyphs, width: int) -> list[Piece]:
    """Both objects side by side where there is room, and every change with its whole values."""
    if row.synced_at is None:
        return [("never synced: all of the desired object is new\n", Tone.MUTED)]
    changes = row.changes
    if not changes:
        return [("no drift: the last synced object is the desired one\n", Tone.OK)]
    pieces = _beside(row, glyphs, width) if width >= _BESIDE else []
    pieces.append(("last synced  ->  desired\n", Tone.MUTED))
    for change in changes[:_MOST_CHANGES]:
        pieces += _change(change, glyphs)
    if len(changes) > _MOST_CHANGES:
        pieces.append((f"... and {len(changes) - _MOST_CHANGES:,} more\n", Tone.MUTED))
    return pieces


def _beside(row: ResourceRow, glyphs: Glyphs, width: int) -> list[Piece]:
    desired, synced = _lines(row.object), _lines(row.last_synced)
    if max(len(desired), len(synced)) > _MOST_LINES:
        return []
    room = (width - 3) // 2
    pieces: list[Piece] = [
        (_cell("desired", room, glyphs) + "   " + "last synced\n", Tone.MUTED),
    ]
    for left, sign, right in aligned(desired, synced, glyphs):
        pieces.append((_cell(left, room, glyphs), Tone.PLAIN if sign == " " else Tone.OK))
        pieces.append((f" {sign} ", Tone.WARN))
        words = fit(right, room, cut=glyphs.cut)
        pieces.append((words + "\n", Tone.PLAIN if sign == " " else Tone.BAD))
    return [*pieces, ("\n", Tone.PLAIN)]


def aligned(
    desired: Sequence[str], synced: Sequence[str], glyphs: Glyphs
) -> list[tuple[str, str, str]]:
    """Lines in pairs with a sign between: they differ, or one is new (+) or gone (-)."""
    pairs: list[tuple[str, str, str]] = []
    matcher = SequenceMatcher(None, desired, synced, autojunk=False)
    for what, left_from, left_to, right_from, right_to in matcher.get_opcodes():
        lefts, rights = desired[left_from:left_to], synced[right_from:right_to]
        for place in range(max(len(lefts), len(rights))):
            left = lefts[place] if place < len(lefts) else None
            right = rights[place] if place < len(rights) else None
            sign = " " if what == "equal" else _sign(left, right, glyphs)
            pairs.append((left or "", sign, right or ""))
    return pairs


def _sign(left: str | None, right: str | None, glyphs: Glyphs) -> str:
    if left is None:
        return "-"
    return "+" if right is None else glyphs.differs


def _lines(value: Any) -> list[str]:
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str, sort_keys=True)
    return harmless_lines(text).splitlines()


def _cell(text: str, width: int, glyphs: Glyphs) -> str:
    text = fit(text, width, cut=glyphs.cut)
    return text + " " * (width - cell_len(text))


def _change(change: Change, glyphs: Glyphs) -> list[Piece]:
    old, new = (_value(value) for value in (change.old, change.new))
    path = shown(change.path) if change.path else "(all)"
    if change.old is None:
        return [(f"+ {path}: ", Tone.OK), (f"{new}\n", Tone.OK)]
    if change.new is None:
        return [(f"- {path}: ", Tone.BAD), (f"{old}\n", Tone.BAD)]
    return [
        (f"{glyphs.differs} {path}: ", Tone.WARN),
        (old, Tone.BAD),
        ("  ->  ", Tone.MUTED),
        (f"{new}\n", Tone.OK),
    ]


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return harmless(text[:2_000])
