"""What is held back: a kind, a namespace, a worker or a tick."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class PauseScope(StrEnum):
    """What a pause holds back."""

    KIND = "kind"
    NAMESPACE = "namespace"
    WORKER = "worker"
    TICK = "tick"


@dataclass(frozen=True, slots=True)
class Pause:
    """A row of `delta_pause`. `until` None: until it is resumed."""

    scope: PauseScope
    name: str
    reason: str | None
    actor: str | None
    created_at: datetime
    until: datetime | None

    @property
    def told(self) -> str:
        """What is paused since when, by whom, until when and why, in one sentence."""
        by = "" if self.actor is None else f" by {self.actor}"
        until = "" if self.until is None else f" until {_moment(self.until)}"
        reason = "" if self.reason is None else f": {self.reason}"
        since = _moment(self.created_at)
        return f"{self.scope} {self.name!r} is paused since {since}{by}{until}{reason}"


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
