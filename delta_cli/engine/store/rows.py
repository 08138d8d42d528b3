"""Tuples of the database become the values of `model`."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, make_dataclass
from datetime import datetime
from typing import Any, Final

from delta_cli.engine.model.event import Event, EventCategory
from delta_cli.engine.model.inform import InformCounts, InformRun, InformRunState
from delta_cli.engine.model.resource_row import AttemptError, ResourceRow
from delta_cli.engine.settings import InformOptions
from delta_cli.engine.states import ResourceState


def resource_row(row: Sequence[Any]) -> ResourceRow:
    """A row of `queries.resource.GET` or `PAGE`."""
    *head, errors = row
    values = ResourceRow(*head, errors=[AttemptError.from_json(error) for error in errors])
    object.__setattr__(values, "state", ResourceState(values.state))
    return values


_CATEGORIES: Final = {category.value: category for category in EventCategory}
_STATES: Final = {state.value: state for state in ResourceState}
_EVENT_COLUMNS: Final = [field.name for field in fields(Event)]
#: `Event` before it is frozen: the same slots.
_UNFROZEN: Final = make_dataclass("_UNFROZEN", _EVENT_COLUMNS, slots=True)


def event(row: Sequence[Any]) -> Event:
    """A row of `queries.event.PAGE`, what it has besides left out.

    It is made unfrozen and frozen when it is whole: a reader of the log makes events by the ten
    thousand, and the constructor of a frozen dataclass takes three times as long.
    """
    made = _UNFROZEN(*row[: len(_EVENT_COLUMNS)])
    made.category = _CATEGORIES[made.category]
    made.state = _STATES[made.state]
    made.__class__ = Event
    return made


def inform_run(row: Sequence[Any]) -> InformRun:
    """A row of `queries.inform_run.GET`."""
    run_id, kind, state, options, requested_by, worker_id, *rest = row
    counts, (error, created_at, started_at, finished_at) = rest[:7], rest[7:]
    asked = options_from_json(options, watermark=None)
    return InformRun(
        id=run_id,
        kind=kind,
        state=InformRunState(state),
        after=asked.after,
        limit=asked.limit,
        labels=asked.labels,
        order_by=asked.order_by,
        process_existing=asked.process_existing,
        requested_by=requested_by,
        worker_id=worker_id,
        counts=InformCounts(*counts),
        error=error,
        created_at=created_at,
        started_at=started_at,
        finished_at=finished_at,
    )


#: In `options.after`: from where the last successful run ended, known when the run starts.
AFTER_WATERMARK = "watermark"


def options_to_json(options: InformOptions, *, from_watermark: bool) -> dict[str, Any]:
    """Options as `delta_inform.options` keeps them."""
    after = options.after.isoformat() if options.after is not None else None
    return {
        "after": AFTER_WATERMARK if from_watermark and after is None else after,
        "limit": options.limit,
        "labels": dict(options.labels),
        "order_by": options.order_by,
        "process_existing": options.process_existing,
    }


def options_from_json(value: Mapping[str, Any], watermark: datetime | None) -> InformOptions:
    """Options as a run gets them, its watermark filled in."""
    after = value.get("after")
    return InformOptions(
        after=watermark if after == AFTER_WATERMARK else after and datetime.fromisoformat(after),
        limit=value.get("limit"),
        labels=value.get("labels") or {},
        order_by=value.get("order_by"),
        process_existing=bool(value.get("process_existing")),
    )
