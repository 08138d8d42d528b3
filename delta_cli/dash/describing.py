"""A resource in words, for the panes of its detail. Nothing from outside is taken for markup."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from rich.text import Text

from delta_cli.cli.text import harmless, harmless_lines
from delta_cli.dash.glyphs import Glyphs
from delta_cli.dash.tones import OF_STATE, Piece, Tone, text_of
from delta_cli.dash.widgets.event_log import event_word
from delta_cli.dash.words import clock, milliseconds, moment, shown, since, until
from delta_cli.engine.model import AttemptError, Change, Event, ResourceRow

PANES: Final = ("Object", "Diff", "Attempts", "Timeline", "Meta")
_MOST_LINES: Final = 2_000
_MOST_CHARACTERS: Final = 200_000
_MOST_CHANGES: Final = 500


def json_of(value: Any) -> str:
    """A JSON value for people to read."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def head(row: ResourceRow, now: datetime) -> Text:
    """What stands above every pane."""
    due = "" if row.due_at is None else f"  due: {until(row.due_at, now)}"
    held = "" if row.worker_id is None else f"  held by worker {row.worker_id}"
    pieces: list[Piece] = [
        (f"{row.state.value}", OF_STATE[row.state]),
        (f"  attempt {row.attempt}/{row.max_attempts}", Tone.PLAIN),
        (f"  namespace {shown(row.namespace)}  generation {row.generation}", Tone.PLAIN),
        (f"  syncs {row.sync_count:,}\n", Tone.PLAIN),
        (f"age {since(row.created_at, now)}  synced {since(row.synced_at, now)}", Tone.MUTED),
        (due + held, Tone.MUTED),
    ]
    return text_of(pieces)


def pane(name: str, row: ResourceRow, timeline: Sequence[Event] | None, glyphs: Glyphs) -> Text:
    """One pane."""
    match name:
        case "Object":
            return Text(_bounded(json_of(row.object)))
        case "Diff":
            return _diff(row, glyphs)
        case "Attempts":
            return _attempts(row.errors)
        case "Timeline":
            return _timeline(timeline)
        case _:
            return _meta(row)


def _bounded(text: str) -> str:
    lines = text[:_MOST_CHARACTERS].splitlines()
    kept = harmless_lines("\n".join(lines[:_MOST_LINES]))
    is_cut = len(lines) > _MOST_LINES or len(text) > _MOST_CHARACTERS
    return kept + "\n... and more: y copies all of it" if is_cut else kept


def _diff(row: ResourceRow, glyphs: Glyphs) -> Text:
    if row.synced_at is None:
        return text_of([("never synced: all of the desired object is new", Tone.MUTED)])
    changes = row.changes
    if not changes:
        return text_of([("no drift: the last synced object is the desired one", Tone.OK)])
    pieces: list[Piece] = [("last synced  ->  desired\n\n", Tone.MUTED)]
    for change in changes[:_MOST_CHANGES]:
        pieces += _change(change, glyphs)
    if len(changes) > _MOST_CHANGES:
        pieces.append((f"... and {len(changes) - _MOST_CHANGES:,} more", Tone.MUTED))
    return text_of(pieces)


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


def _attempts(errors: Sequence[AttemptError]) -> Text:
    if not errors:
        return text_of([("no failed attempts in this round", Tone.OK)])
    pieces: list[Piece] = []
    for error in reversed(errors):
        worker = "" if error.worker_id is None else f" worker {error.worker_id}"
        pieces.append((f"#{error.attempt} ", Tone.STRONG))
        pieces.append((f"{clock(error.at)}{worker}  ", Tone.MUTED))
        pieces.append((f"{shown(error.error)}: {shown(error.message)}\n", Tone.WARN))
        if error.trace:
            pieces.append((harmless_lines(error.trace).rstrip() + "\n", Tone.MUTED))
        pieces.append(("\n", Tone.PLAIN))
    return text_of(pieces)


def _timeline(events: Sequence[Event] | None) -> Text:
    if events is None:
        return text_of([("reading the log", Tone.MUTED)])
    if not events:
        return text_of([("the log tells nothing of it (any more)", Tone.MUTED)])
    pieces: list[Piece] = []
    for event in reversed(events):
        word, tone = event_word(event)
        took = "" if event.duration_ms is None else f" {milliseconds(event.duration_ms)}"
        pieces.append((f"{moment(event.at)}  ", Tone.MUTED))
        pieces.append((f"{word:<9}", tone))
        pieces.append((f" a{event.attempt}/{event.max_attempts}{took}", Tone.PLAIN))
        pieces.append(("" if event.worker is None else f" w{event.worker}", Tone.MUTED))
        pieces.append(("" if event.actor is None else f" by {shown(event.actor)}", Tone.STRONG))
        pieces.append((f" {shown(event.error)}\n" if event.error else "\n", Tone.WARN))
    return text_of(pieces)


def _meta(row: ResourceRow) -> Text:
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
    return text_of(pieces)
