"""What the app knows: handlers of messages change it, tabs show it."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from delta_cli.dash.glyphs import UNICODE, Glyphs
from delta_cli.dash.log_reading import LOG_LINES
from delta_cli.dash.messages import Connected, Gap, Mode
from delta_cli.dash.rates import WorkerRates
from delta_cli.dash.snapshot import Alert, Snapshot, alerts
from delta_cli.dash.trends import Trends
from delta_cli.engine.model.event import Event


@dataclass(slots=True)
class State:
    """All that is shown. `where`: the database, without its password."""

    where: str
    read_only: bool = False
    glyphs: Glyphs = UNICODE
    connected: Connected | None = None
    snapshot: Snapshot | None = None
    alerts: Sequence[Alert] = ()
    log: deque[Event | Gap] = field(default_factory=lambda: deque(maxlen=LOG_LINES))
    trends: Trends = field(default_factory=Trends)
    rates: WorkerRates = field(default_factory=WorkerRates)
    newest: int = 0
    _next_alert: int = 0
    _read_at: float = field(default_factory=time.monotonic)

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """The tables were read just now."""
        self.snapshot, self._read_at = snapshot, time.monotonic()
        self.alerts = alerts(snapshot)
        self.rates.take(snapshot.workers)

    def take_events(self, events: Sequence[Event], newest: int, gap: Gap | None) -> None:
        """Events came, after a gap where there was one."""
        if gap is not None:
            self.log.append(gap)
        self.log.extend(events)
        self.trends.add(events)
        self.newest = newest

    def next_alert(self) -> Alert | None:
        """The alerts one after the other, and again from the first."""
        if not self.alerts:
            return None
        self._next_alert = (self._next_alert + 1) % len(self.alerts)
        return self.alerts[self._next_alert - 1]

    @property
    def is_away(self) -> bool:
        """Whether the database does not answer."""
        return self.connected is not None and self.connected.mode is Mode.RECONNECTING

    @property
    def age_s(self) -> float:
        """How old the data is."""
        return time.monotonic() - self._read_at

    @property
    def now(self) -> datetime | None:
        """The database's clock. It stands still with the data while the database is away."""
        if self.snapshot is None:
            return None
        return self.snapshot.at + timedelta(seconds=0 if self.is_away else self.age_s)
