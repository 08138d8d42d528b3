"""One frame of the dashboard as JSON: the shapes of the other commands, put together."""

from typing import TYPE_CHECKING

from delta_cli.cli.records import (
    Values,
    controller_record,
    inform_run_record,
    namespace_record,
    pause_record,
    tick_record,
    worker_record,
)

if TYPE_CHECKING:
    from delta_cli.dash.snapshot import KindCounts, Snapshot


def dash_record(snapshot: "Snapshot") -> Values:
    """The whole system, and what is wrong with it."""
    from delta_cli.dash.snapshot import alerts

    return {
        "at": snapshot.at,
        "kinds": [_kind(one) for one in snapshot.kinds],
        "in_flight": sum(lane.resources for lane in snapshot.pending),
        "workers": [worker_record(one) for one in snapshot.workers],
        "ticks": [tick_record(one) for one in snapshot.ticks],
        "controllers": [controller_record(one) for one in snapshot.controllers],
        "namespaces": [namespace_record(one) for one in snapshot.namespaces],
        "informs": [inform_run_record(one) for one in snapshot.runs],
        "pauses": [pause_record(one) for one in snapshot.pauses],
        "alerts": [{"tab": one.tab, "name": one.key, "text": one.text} for one in alerts(snapshot)],
    }


def _kind(one: "KindCounts") -> Values:
    return {
        "kind": one.kind,
        "states": {state.value: count for state, count in one.states.items()},
        "due": one.due,
        "oldest_due_at": one.oldest,
    }
