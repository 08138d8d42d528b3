"""How scrapes are answered: each in a thread of its own, a few at once, and none for long.

The worker's event loop accepts connections and reads the values. Whatever a scraper does or fails
to do, it holds neither the loop nor the worker's end.
"""

import asyncio
import logging
import socket
import sys
from concurrent.futures import CancelledError
from contextlib import suppress
from http import HTTPStatus
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, MetricsHandler, ProcessCollector

from delta_cli.cli.metrics_fleet import Fleet, read_fleet
from delta_cli.engine.database import AWAY
from delta_cli.engine.errors import DeltaError

if TYPE_CHECKING:
    from delta_cli.engine.client import Client

log = logging.getLogger(__name__)

_PATH: Final = "/metrics"
#: Fewer than the connections of the pool, which the worker needs itself.
_AT_ONCE: Final = 4
#: Prometheus waits for 10 s, unless told otherwise.
_VALUES_S: Final = 4.0
_SCRAPE_S: Final = 8.0


class MetricsServer(ThreadingMixIn, TCPServer):
    """Listens on all addresses; `handle_request()` is to be called when a connection waits.

    Raises OSError for a port that cannot be had.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, client: "Client", loop: asyncio.AbstractEventLoop) -> None:
        self._client: Client = client
        self._loop: asyncio.AbstractEventLoop = loop
        self._open: set[socket.socket] = set()
        self.address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
        super().__init__(("", port), _Handler)

    def fleet(self) -> Fleet:
        """Read now, for the thread of a scrape. Raises TimeoutError if that takes too long."""
        values = read_fleet(self._client)
        try:
            reading = asyncio.run_coroutine_threadsafe(values, self._loop)
            try:
                return reading.result(_VALUES_S)
            finally:
                reading.cancel()
        finally:
            # The worker has ended meanwhile, and nobody will begin it.
            if self._loop.is_closed():
                values.close()

    def server_bind(self) -> None:
        """Take the port, of IPv4 too where there is IPv6."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # A scraper that waited may be gone before it is accepted.
        self.socket.setblocking(False)
        super().server_bind()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for one more; the connection is closed if not."""
        return len(self._open) < _AT_ONCE

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, and cut off whoever is not done in time."""
        request.setblocking(True)  # as the listening socket is not, on BSD
        self._open.add(request)
        self._loop.call_later(_SCRAPE_S, _cut, request)
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        """Make room for another."""
        self._open.discard(request)
        super().close_request(request)

    def server_close(self) -> None:
        """Give the port back, and cut off whoever is connected."""
        super().server_close()
        for request in tuple(self._open):
            _cut(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of a scrape that failed; not of a scraper that went away."""
        error = sys.exception()
        if not isinstance(error, OSError):
            log.warning("scrape failed", exc_info=error, extra={"component": "metrics"})


def _cut(request: socket.socket) -> None:
    # Unlike close(), this wakes a thread that waits for the scraper.
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


class _Handler(MetricsHandler):
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(explain)s\n"

    def do_GET(self) -> None:  # noqa: N802 - the base class's name
        if urlsplit(self.path).path != _PATH:
            self.send_error(HTTPStatus.NOT_FOUND, explain="GET /metrics")
            return
        assert isinstance(self.server, MetricsServer)
        try:
            fleet = self.server.fleet()
        except AWAY:
            self._unavailable("the database is away")
        except (TimeoutError, CancelledError):
            self._unavailable(f"no values within {_VALUES_S:g} s: the database is away, or slow")
        except DeltaError:
            self._unavailable("the database refuses; delta doctor tells why")
        else:
            self.registry = CollectorRegistry(auto_describe=True)
            self.registry.register(fleet)
            ProcessCollector(registry=self.registry)
            super().do_GET()

    def _unavailable(self, why: str) -> None:
        self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, explain=why)
