"""A resource in words, for the panes of its detail. Nothing from outside is taken for markup."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from rich.text import Text

from delta_cli.cli.text import harmless_lines
from delta_cli.dash.diffing import diff_pieces
from delta_cli.dash.event_lines import event_word
from delta_cli.dash.glyphs import Glyphs
from delta_cli.dash.tones import OF_STATE, Piece, Tone, text_of
from delta_cli.dash.words import clock, milliseconds, moment, shown, since, until
from delta_cli.engine.model.event import Event
from delta_cli.engine.model.resource_row import AttemptError, ResourceRow

PANES: Final = ("Object", "Diff", "Attempts", "Timeline", "Meta")
_MOST_LINES: Final = 2_000
_MOST_CHARACTERS: Final = 200_000
#: Attempts and events that are told below the object.
_SHORT_LINES: Final = 8


def json_of(value: Any) -> str:
    """A JSON value for people to read."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def head(row: ResourceRow, now: datetime) -> Text:
    """What stands above every pane."""
    due = "" if row.due_at is None else f"  {_due(row.due_at, now)}"
    held = "" if row.worker_id is None else f"  held by worker {row.worker_id}"
    pieces: list[Piece] = [
        (row.state.value, OF_STATE[row.state]),
        (f"  attempt {row.attempt}/{row.max_attempts}", Tone.PLAIN),
        (f"  namespace {shown(row.namespace)}  generation {row.generation}", Tone.PLAIN),
        (f"  syncs {row.sync_count:,}\n", Tone.PLAIN),
        (f"age {since(row.created_at, now)}  synced {since(row.synced_at, now)}", Tone.MUTED),
        (due + held, Tone.MUTED),
    ]
    return text_of(pieces)


def _due(at: datetime, now: datetime) -> str:
    words = until(at, now)
    return f"due in {words}" if at > now else words


def pane(
    name: str, row: ResourceRow, timeline: Sequence[Event] | None, glyphs: Glyphs, width: int
) -> Text:
    """One pane. Below the object and the diff stands in short what became of it."""
    match name:
        case "Object":
            pieces: list[Piece] = [(_bounded(json_of(row.object)) + "\n", Tone.PLAIN)]
            return text_of([*pieces, *_in_short(row, timeline)])
        case "Diff":
            return text_of([*diff_pieces(row, glyphs, width), *_in_short(row, timeline)])
        case "Attempts":
            return text_of(_attempts(row.errors))
        case "Timeline":
            return text_of(_timeline(timeline))
        case _:
            return text_of(_meta(row))


def whole_text(
    row: ResourceRow, timeline: Sequence[Event] | None, now: datetime, glyphs: Glyphs
) -> str:
    """All panes as plain text, for a pager."""
    parts = [f"{shown(row.kind)}/{shown(row.object_id)}\n{head(row, now).plain}"]
    contents = {
        "Object": [(harmless_lines(json_of(row.object)) + "\n", Tone.PLAIN)],
        "Diff": diff_pieces(row, glyphs, 0),
        "Attempts": _attempts(row.errors),
        "Timeline": _timeline(timeline),
        "Meta": _meta(row),
    }
    parts += [f"{name}\n\n{text_of(pieces).plain.rstrip()}" for name, pieces in contents.items()]
    return "\n\n".join(parts) + "\n"


def _in_short(row: ResourceRow, timeline: Sequence[Event] | None) -> list[Piece]:
    pieces: list[Piece] = []
    if row.errors:
        pieces.append(("\nAttempts, the newest first\n", Tone.STRONG))
        for error in list(reversed(row.errors))[:_SHORT_LINES]:
            pieces += [*_attempt(error), ("\n", Tone.PLAIN)]
    if timeline:
        pieces.append(("\nTimeline\n", Tone.STRONG))
        for event in list(reversed(timeline))[:_SHORT_LINES]:
            pieces += _happened(event)
    return pieces


def _bounded(text: str) -> str:
    lines = text[:_MOST_CHARACTERS].splitlines()
    kept = harmless_lines("\n".join(lines[:_MOST_LINES]))
    is_cut = len(lines) > _MOST_LINES or len(text) > _MOST_CHARACTERS
    return kept + "\n... and more: y copies all of it" if is_cut else kept


def _attempts(errors: Sequence[AttemptError]) -> list[Piece]:
    if not errors:
        return [("no failed attempts in this round", Tone.OK)]
    pieces: list[Piece] = []
    for error in reversed(errors):
        pieces += [*_attempt(error), ("\n", Tone.PLAIN)]
        if error.trace:
            pieces.append((harmless_lines(error.trace).rstrip() + "\n", Tone.MUTED))
        pieces.append(("\n", Tone.PLAIN))
    return pieces


def _attempt(error: AttemptError) -> list[Piece]:
    worker = "" if error.worker_id is None else f" w{error.worker_id}"
    return [
        (f"#{error.attempt} ", Tone.STRONG),
        (f"{clock(error.at)}{worker}  ", Tone.MUTED),
        (f"{shown(error.error)}: {shown(error.message)}", Tone.WARN),
    ]


def _timeline(events: Sequence[Event] | None) -> list[Piece]:
    if events is None:
        return [("reading the log", Tone.MUTED)]
    if not events:
        return [("the log tells nothing of it (any more)", Tone.MUTED)]
    return [piece for event in reversed(events) for piece in _happened(event)]


def _happened(event: Event) -> list[Piece]:
    word, tone = event_word(event)
    took = "" if event.duration_ms is None else f" {milliseconds(event.duration_ms)}"
    return [
        (f"{moment(event.at)}  ", Tone.MUTED),
        (f"{word:<9}", tone),
        (f" a{event.attempt}/{event.max_attempts}{took}", Tone.PLAIN),
        ("" if event.worker is None else f" w{event.worker}", Tone.MUTED),
        ("" if event.actor is None else f" by {shown(event.actor)}", Tone.STRONG),
        (f" {shown(event.error)}\n" if event.error else "\n", Tone.WARN),
    ]


def _meta(row: ResourceRow) -> list[Piece]:
    pieces: list[Piece] = []
    for name in (
        *("id", "generation", "synced_generation", "term", "sync_count", "priority"),
        *("created_at", "updated_at", "attempted_at", "synced_at", "due_at", "lease_until"),
        *("external_created_at", "worker_id"),
    ):
        value = getattr(row, name)
        told = moment(value) if isinstance(value, datetime) else shown(value)
        pieces += [(f"{name:<20}", Tone.MUTED), (f"{told}\n", Tone.PLAIN)]
    pieces += [(f"{'hash':<20}", Tone.MUTED), (f"{row.hash.hex()}\n", Tone.PLAIN)]
    pieces += [(f"{'tags':<20}", Tone.MUTED), (f"{shown(' '.join(row.tags))}\n", Tone.PLAIN)]
    pieces += [("metadata\n", Tone.MUTED), (_bounded(json_of(dict(row.metadata))), Tone.PLAIN)]
    return pieces
