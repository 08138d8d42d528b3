"""`delta run --metrics-port`: workers, ticks and quotas of the fleet, as Prometheus reads them.

Read at each request, from small tables alone: resources are not counted.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from delta_cli.engine.errors import ConfigError

if TYPE_CHECKING:
    from delta_cli.engine.client import Client

_PATH: Final = b"/metrics"
_PATIENCE_S: Final = 5.0
_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metric(NamedTuple):
    """What Prometheus calls it, and the field of a row that has its value."""

    name: str
    kind: str
    what: str
    field: str


_WORKERS: Final = (
    Metric("delta_worker_in_flight", "gauge", "Works that run.", "in_flight"),
    Metric("delta_worker_capacity", "gauge", "Works at once, at most.", "capacity"),
    Metric("delta_worker_heartbeat_age_seconds", "gauge", "Since a heartbeat.", "heartbeat_age_s"),
    Metric("delta_worker_synced_total", "counter", "Works that succeeded.", "synced"),
    Metric("delta_worker_failed_total", "counter", "Works that failed.", "failed"),
    Metric("delta_worker_deleted_total", "counter", "Works that deleted.", "deleted"),
)
_TICKS: Final = (
    Metric("delta_tick_failures", "gauge", "Since the last success.", "consecutive_failures"),
    Metric("delta_tick_last_success_timestamp_seconds", "gauge", "When.", "last_success"),
)
_QUOTAS: Final = (
    Metric("delta_quota_limit", "gauge", "Slots across the fleet.", "slot_limit"),
    Metric("delta_quota_granted", "gauge", "Slots that workers hold.", "granted"),
    Metric("delta_quota_used", "gauge", "Slots in use.", "used"),
)


@contextlib.asynccontextmanager
async def metrics_server(client: "Client", port: int | None) -> AsyncIterator[None]:
    """Answer GET /metrics on all addresses of this host. None: do not.

    Raises ConfigError for a port that cannot be had.
    """
    if port is None:
        yield
        return

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            async with asyncio.timeout(_PATIENCE_S):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(await _response(client, request))
                await writer.drain()
        writer.close()

    try:
        server = await asyncio.start_server(answer, port=port)
    except OSError as error:
        raise ConfigError(
            f"--metrics-port {port} cannot be had: {error.strerror or error}",
            hint="choose another; each process needs one of its own",
        ) from error
    async with server:
        yield


async def _response(client: "Client", request: bytes) -> bytes:
    from delta_cli.engine.database import AWAY

    method, _, rest = request.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method != b"GET" or path != _PATH:
        return _http("404 Not Found", "GET /metrics\n")
    try:
        return _http("200 OK", await _text(client))
    except AWAY:
        return _http("503 Service Unavailable", "the database is away\n")


def _http(status: str, body: str) -> bytes:
    data = body.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {_TYPE}\r\nContent-Length: {len(data)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + data


async def _text(client: "Client") -> str:
    workers = await client.control.workers()
    ticks = await client.ticks()
    quotas = await client.control.quotas()
    return "".join(
        [
            *_metrics(_WORKERS, workers, {"worker": "id", "host": "host"}),
            *_metrics(_TICKS, ticks, {"tick": "name"}),
            *_metrics(_QUOTAS, quotas, {"scope": "scope", "name": "name"}),
        ]
    )


def _metrics(
    metrics: Sequence[Metric], rows: Sequence[object], labels: Mapping[str, str]
) -> Iterator[str]:
    """Each metric with a value for each row that has one; `labels` are fields of the rows."""
    for metric in metrics:
        yield f"# HELP {metric.name} {metric.what}\n# TYPE {metric.name} {metric.kind}\n"
        for row in rows:
            value = getattr(row, metric.field)
            if value is not None:
                yield f"{metric.name}{{{_labels(row, labels)}}} {_number(value):.15g}\n"


def _labels(row: object, labels: Mapping[str, str]) -> str:
    texts = {name: _escaped(str(getattr(row, field))) for name, field in labels.items()}
    return ",".join(f'{name}="{text}"' for name, text in texts.items())


def _number(value: datetime | float) -> float:
    return value.timestamp() if isinstance(value, datetime) else value


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
