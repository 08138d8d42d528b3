"""What the feed and the workers tell the app. Its handlers own all state and change the widgets."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from textual.message import Message

from delta_cli.dash.snapshot import Snapshot
from delta_cli.dash.store import Page
from delta_cli.engine.model.event import Event
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.store.overview import Wanted


class Mode(StrEnum):
    """How the data comes: pushed, asked for, or not at all."""

    LIVE = "LIVE"
    POLL = "POLL"
    RECONNECTING = "RECONNECTING"


@dataclass(frozen=True, slots=True)
class Connected:
    """How the connection stands. `tries` counts attempts since it was lost; `why`: what failed."""

    mode: Mode
    tries: int = 0
    why: str | None = None
    lag_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch in which nothing was heard. `found` events of it were read afterwards.

    `missed`: those that are shown no more, because they are too many or retention cut them.
    """

    lasted_s: float
    found: int
    missed: int
    from_id: int


class ConnectionChanged(Message):
    """The connection is another."""

    def __init__(self, connected: Connected) -> None:
        super().__init__()
        self.connected: Connected = connected


class EventsArrived(Message):
    """Events, in order, some after a gap; `newest` is the id of the last that was read."""

    def __init__(self, events: Sequence[Event], newest: int, gap: Gap | None = None) -> None:
        super().__init__()
        self.events: Sequence[Event] = events
        self.newest: int = newest
        self.gap: Gap | None = gap


class SnapshotTaken(Message):
    """The tables were read."""

    def __init__(self, snapshot: Snapshot, taken_s: float) -> None:
        super().__init__()
        self.snapshot: Snapshot = snapshot
        self.taken_s: float = taken_s


class PageRead(Message):
    """The list of what was wanted was read."""

    def __init__(self, page: Page, wanted: Wanted) -> None:
        super().__init__()
        self.page: Page = page
        self.wanted: Wanted = wanted


class ReadFailed(Message):
    """What a list or a detail would show could not be read."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why: str = why


class ResourceRead(Message):
    """A resource was read again; `row` None: it is gone."""

    def __init__(self, row: ResourceRow | None) -> None:
        super().__init__()
        self.row: ResourceRow | None = row


class TimelineRead(Message):
    """The events of a resource, the newest last."""

    def __init__(self, resource_id: int, events: Sequence[Event]) -> None:
        super().__init__()
        self.resource_id: int = resource_id
        self.events: Sequence[Event] = events


class ActionDone(Message):
    """An action has ended; `text` says how many it changed, and what was left alone."""

    def __init__(self, text: str, *, is_ok: bool) -> None:
        super().__init__()
        self.text: str = text
        self.is_ok: bool = is_ok
