"""What the events of the last minutes add up to: rates, trends by kind, and how long works took."""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from delta_cli.engine.model.event import Event, EventCategory

MINUTES: Final = 15
_RATE_OVER_S: Final = 10
_DURATIONS: Final = 2_000
SYNCED: Final = EventCategory.OBJECT_SYNCED
FAILED: Final = EventCategory.OBJECT_FAILED


@dataclass(frozen=True, slots=True)
class Durations:
    """How long the last works took, in milliseconds; None before the first."""

    p50: float | None
    p95: float | None
    longest: float | None


class Trends:
    """Counts of events by minute and second. Bounded: what is older than a quarter hour goes."""

    def __init__(self) -> None:
        self._minutes: dict[int, Counter[tuple[str, EventCategory]]] = {}
        self._seconds: dict[int, Counter[EventCategory]] = {}
        self._durations: deque[float] = deque(maxlen=_DURATIONS)

    def add(self, events: Iterable[Event]) -> None:
        """Take events in."""
        for event in events:
            second = int(event.at.timestamp())
            self._minutes.setdefault(second // 60, Counter())[event.kind, event.category] += 1
            self._seconds.setdefault(second, Counter())[event.category] += 1
            if event.duration_ms is not None:
                self._durations.append(event.duration_ms)
        self._forget()

    def _forget(self) -> None:
        if len(self._minutes) > MINUTES + 1:
            newest = max(self._minutes)
            for minute in [one for one in self._minutes if one <= newest - MINUTES]:
                del self._minutes[minute]
        if len(self._seconds) > 4 * _RATE_OVER_S:
            newest = max(self._seconds)
            for second in [one for one in self._seconds if one <= newest - 2 * _RATE_OVER_S]:
                del self._seconds[second]

    def rate(self, now: datetime, *categories: EventCategory) -> float:
        """Events a second over the last ten seconds; of all categories where none is named."""
        last = int(now.timestamp())
        counters = [self._seconds.get(last - back, Counter()) for back in range(_RATE_OVER_S)]
        chosen = categories or tuple(EventCategory)
        return sum(counter[one] for counter in counters for one in chosen) / _RATE_OVER_S

    def minutes(
        self, now: datetime, categories: Sequence[EventCategory] = (), kind: str | None = None
    ) -> list[int]:
        """Events a minute over the last quarter hour, the newest last."""
        last = int(now.timestamp()) // 60
        return [
            sum(
                number
                for (of, category), number in self._minutes.get(last - back, Counter()).items()
                if (kind is None or of == kind) and (not categories or category in categories)
            )
            for back in reversed(range(MINUTES))
        ]

    @property
    def durations(self) -> Durations:
        """How long the last works took."""
        ordered = sorted(self._durations)
        if not ordered:
            return Durations(None, None, None)
        last = len(ordered) - 1
        return Durations(ordered[last // 2], ordered[last * 95 // 100], ordered[-1])
