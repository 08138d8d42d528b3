"""States of the dashboard that someone would review, drawn from fixed data: nothing is read.

To draw them anew: `pytest tests/dash/test_snapshots.py --snapshot-update`.
"""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from delta_cli.dash.app import DeltaDash
from delta_cli.dash.messages import Connected, Gap, Mode
from delta_cli.dash.options import Options
from delta_cli.dash.snapshot import KindCounts, Snapshot
from delta_cli.dash.store import DashStore
from delta_cli.engine.model.event import Event, EventCategory
from delta_cli.engine.model.fleet import WorkerRow
from delta_cli.engine.model.tick import TickRow
from delta_cli.engine.states import ResourceState
from tests.conftest import pytest_sessionfinish

_S, _C = ResourceState, EventCategory
NOW = datetime(2026, 1, 2, 14, 3, 22, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def event(number: int, category: EventCategory, state: ResourceState, **more: Any) -> Event:
    error, actor = more.get("error"), more.get("actor")
    return Event(
        *(number, ago(60 - number), category, number, "default", "card", f"crd_{number}", state),
        *(1 + number % 3, 5, 1, 1, 1 + number % 2, 88.0 + number, error, actor),
    )


def worker(number: int, beat_s: float, error: str | None = None) -> WorkerRow:
    return WorkerRow(
        *(number, f"api-{number}", 100 + number, "0.1.0", "running", ["card", "ledger"], None),
        *(3 * number, 10, ago(7_200), ago(beat_s), beat_s, 4_000 * number, 40, 3, error),
    )


def tick(name: str, failures: int, error: str | None = None) -> TickRow:
    failed = ago(8) if failures else None
    return TickRow(
        *(name, 60.0, 1, True, ago(8), ago(68), failed, error, failures, None, None),
        *(12, "rows", 31.0, ago(-41), None, False, ()),
    )


SNAPSHOT = Snapshot(
    at=NOW,
    kinds=(
        KindCounts(
            "card",
            {_S.SYNCED: 47_901, _S.PENDING: 181, _S.SCHEDULED: 92, _S.FAILED: 12},
            92,
            ago(41),
        ),
        KindCounts("invoice", {_S.SYNCED: 11_990, _S.EXPIRED: 5}, 0, None),
        KindCounts("ledger", {_S.SYNCED: 3_301, _S.DEGRADED: 9}, 4, ago(130)),
    ),
    workers=(worker(1, 0.8), worker(2, 94.0, "HTTP 429")),
    ticks=(tick("clean", 0), tick("inform", 5, "HTTP 429"), tick("rescue", 0)),
)
LOG = (
    event(1, _C.OBJECT_SYNCED, _S.SYNCED),
    event(2, _C.OBJECT_FAILED, _S.FAILED, error="HTTP 503 upstream"),
    Gap(3.2, 118, 0, 918_301),
    event(3, _C.OBJECT_FAILED, _S.DEGRADED, error="max attempts [bold]not bold[/]"),
    event(4, _C.OBJECT_INVALIDATED, _S.EXPIRED, actor="dash:ana"),
    event(5, _C.OBJECT_DELETED, _S.DELETED),
)


class StillDash(DeltaDash):
    """Shows what it is given."""

    def __init__(self, connected: Connected) -> None:
        super().__init__(
            cast(DashStore, SimpleNamespace(database=None, resources=None, changes=NO_CHANGES)),
            Options(where="ops@db1/app", actor="ana"),
        )
        self._still = connected
        self.feed.run = asyncio.Event().wait  # pyright: ignore[reportAttributeAccessIssue]

    def on_ready(self) -> None:
        self._parts = self.count_parts()
        events = [entry for entry in LOG if isinstance(entry, Event)]
        self.state.take_events(events, 918_442, None)
        self.state.log.clear()
        self.state.log.extend(LOG)
        self.state.take_snapshot(SNAPSHOT)
        self.state.connected = self._still
        self.hand_out(list(LOG))
        self.show()


NO_CHANGES = SimpleNamespace(ticks=())
LIVE = Connected(Mode.LIVE, lag_ms=3.0)
LOST = Connected(Mode.RECONNECTING, 4, "cannot connect to db1: connection refused")


@pytest.fixture(autouse=True)
def still_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delta_cli.dash.state.time", SimpleNamespace(monotonic=lambda: 17.0))


def test_the_overview(snap_compare: Any) -> None:
    assert snap_compare(StillDash(LIVE), terminal_size=(120, 40))


def test_the_overview_of_a_lost_server_on_a_small_terminal(snap_compare: Any) -> None:
    assert snap_compare(StillDash(LOST), terminal_size=(80, 24))


def test_the_overview_without_colour(snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(StillDash(LIVE), terminal_size=(120, 40))


def test_a_report_shows_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_DATABASE", "postgresql://shop:hunter2@db/shop")
    before = dict(os.environ)
    finishing = pytest_sessionfinish()
    next(finishing)
    assert "hunter2" not in str(dict(os.environ))
    with pytest.raises(StopIteration):
        next(finishing)
    assert dict(os.environ) == before
