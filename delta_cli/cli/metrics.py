"""`delta run --metrics-port`: answers Prometheus for as long as a worker runs.

What answers is imported only then: a worker that nobody scrapes starts without it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from delta_cli.engine.errors import ConfigError

if TYPE_CHECKING:
    from delta_cli.engine.client import Client


@contextlib.asynccontextmanager
async def metrics_server(client: "Client", port: int | None) -> AsyncIterator[None]:
    """Answer GET /metrics on all addresses of this host. None: do not.

    Raises ConfigError for a port that cannot be had.
    """
    if port is None:
        yield
        return
    from delta_cli.cli.metrics_http import MetricsServer

    loop = asyncio.get_running_loop()
    try:
        server = MetricsServer(port, client, loop)
    except OSError as error:
        raise ConfigError(
            f"--metrics-port {port} cannot be had: {error.strerror or error}",
            hint="choose another; each process needs one of its own",
        ) from error
    loop.add_reader(server, server.handle_request)
    try:
        yield
    finally:
        loop.remove_reader(server)
        server.server_close()
