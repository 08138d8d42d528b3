"""Shows the dashboard in browsers on this machine: a process of its own for each visitor.

The server of textual-serve asks nobody who they are. So this one listens on the loopback alone, and
refuses what a page from elsewhere sends it: a browser would open a socket to it for any site.
"""

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlsplit

from delta_cli.engine.errors import ConfigError

HOST: Final = "127.0.0.1"
#: Names under which a browser on this machine reaches the loopback.
_NAMES: Final = (HOST, "localhost")


def serve(command: str, port: int) -> None:
    """Serve until Ctrl-C. Raises ConfigError without the extra `web`, and for a port in use."""
    try:
        server, web = import_module("textual_serve.server"), import_module("aiohttp.web")
    except ImportError:
        raise ConfigError(
            "showing the dashboard in a browser needs the extra 'web'",
            hint="pip install 'deltaloop[web]'",
        ) from None
    try:
        _server_class(server, web)(command, host=HOST, port=port, title="Delta").serve()
    except OSError as error:
        raise ConfigError(
            f"port {port} of {HOST} cannot be used: {error.strerror or error}",
            hint="choose another with --port",
        ) from error


def _server_class(server: Any, web: Any) -> Any:
    """The server of textual-serve, with a guard. Its module is there with the extra only."""

    class LoopbackServer(server.Server):
        async def _make_app(self) -> Any:
            app = await super()._make_app()
            app.middlewares.append(_guard(web, self.port))
            return app

        async def on_startup(self, app: Any) -> None:
            """Nothing goes to stdout: the command line has told where to look."""

        def initialize_logging(self) -> None:
            """The command line's own stays: that of the server shows variables of tracebacks."""

    return LoopbackServer


def _guard(web: Any, port: int) -> Any:
    @web.middleware
    async def guard(request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        if not is_from_here(request.headers, port):
            raise web.HTTPForbidden(text="this dashboard answers pages of its own only\n")
        return await handler(request)

    return guard


def is_from_here(headers: Any, port: int) -> bool:
    """Whether a request names this server, and comes from no other site's page."""
    here = {f"{name}:{port}" for name in _NAMES}
    here |= set(_NAMES) if port == 80 else set[str]()  # noqa: PLR2004 - what http leaves away
    origin = headers.get("Origin")
    return headers.get("Host") in here and (origin is None or urlsplit(origin).netloc in here)
