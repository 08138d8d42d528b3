"""What Prometheus is told of the fleet: workers, ticks and quotas.

Read at each scrape, from small tables alone: resources are not counted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from delta_cli.engine.client import Client


class Told(NamedTuple):
    """What Prometheus calls it, and the field of a row that has its value."""

    family: type[Counter] | type[Gauge]
    name: str
    what: str
    field: str


_WORKERS: Final = (
    Told(Gauge, "delta_worker_in_flight", "Works that run.", "in_flight"),
    Told(Gauge, "delta_worker_capacity", "Works at once, at most.", "capacity"),
    Told(Gauge, "delta_worker_heartbeat_age_seconds", "Since a heartbeat.", "heartbeat_age_s"),
    Told(Counter, "delta_worker_synced_total", "Works that succeeded.", "synced"),
    Told(Counter, "delta_worker_failed_total", "Works that failed.", "failed"),
    Told(Counter, "delta_worker_deleted_total", "Works that deleted.", "deleted"),
)
_TICKS: Final = (
    Told(Gauge, "delta_tick_failures", "Since the last success.", "consecutive_failures"),
    Told(Gauge, "delta_tick_last_success_timestamp_seconds", "When.", "last_success"),
)
_QUOTAS: Final = (
    Told(Gauge, "delta_quota_limit", "Slots across the fleet.", "slot_limit"),
    Told(Gauge, "delta_quota_granted", "Slots that workers hold.", "granted"),
    Told(Gauge, "delta_quota_used", "Slots in use.", "used"),
)


@dataclass(frozen=True, eq=False)
class Fleet(Collector):
    """The fleet at one moment."""

    workers: Sequence[object]
    ticks: Sequence[object]
    quotas: Sequence[object]

    def collect(self) -> Iterator[Metric]:
        """Every metric, also one that no row has a value for."""
        yield from _metrics(_WORKERS, self.workers, {"worker": "id", "host": "host"})
        yield from _metrics(_TICKS, self.ticks, {"tick": "name"})
        yield from _metrics(_QUOTAS, self.quotas, {"scope": "scope", "name": "name"})


async def read_fleet(client: "Client") -> Fleet:
    """The fleet as it is now."""
    return Fleet(
        await client.control.workers(), await client.ticks(), await client.control.quotas()
    )


def _metrics(
    told: Iterable[Told], rows: Sequence[object], labels: Mapping[str, str]
) -> Iterator[Metric]:
    """Each metric with a value for each row that has one; `labels` are fields of the rows."""
    for family, name, what, field in told:
        metric = family(name, what, labels=list(labels))
        for row in rows:
            value = getattr(row, field)
            if value is not None:
                texts = [str(getattr(row, label)) for label in labels.values()]
                metric.add_metric(texts, _number(value))
        yield metric


def _number(value: datetime | float) -> float:
    return value.timestamp() if isinstance(value, datetime) else value
