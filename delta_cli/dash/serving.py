"""Shows the dashboard in browsers on this machine: a process of its own for each visitor.

The server of textual-serve asks nobody who they are. So this one listens on the loopback alone,
answers only whoever has the address that the command line printed (see `admission`), and refuses
what a page from elsewhere sends it: a browser would open a socket to it for any site. Its page
loads nothing from elsewhere either: the machine may reach nothing else.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from delta_cli.dash.admission import HOST, TOKEN, Admission
from delta_cli.engine.errors import ConfigError

#: Our page instead of that of textual-serve, which fetches a font from elsewhere, has no keys until
#: one clicks, and does not notice when the server is back.
_PAGE: Final = Path(__file__).with_name("page")
#: So many seconds the dashboards of visitors have to end.
_END_S: Final = 5.0
_FROM_ELSEWHERE: Final = "This dashboard answers pages of its own only.\n"
_NOT_LET_IN: Final = "Open the address that `delta dash --serve` printed when it was started.\n"


def serve(command: str, admission: Admission) -> None:
    """Serve until Ctrl-C. Raises ConfigError without the extra `web`, and for a port in use."""
    try:
        make_server(command, admission).serve()
    except OSError as error:
        raise ConfigError(
            f"port {admission.port} of {HOST} cannot be used: {error.strerror or error}",
            hint="choose another with --port",
        ) from error


def make_server(command: str, admission: Admission) -> Any:
    """A server that does not run yet. Raises ConfigError without the extra `web`."""
    try:
        server, web = import_module("textual_serve.server"), import_module("aiohttp.web")
    except ImportError:
        raise ConfigError(
            "showing the dashboard in a browser needs the extra 'web'",
            hint="pip install 'deltaloop[web]'",
        ) from None
    made = _server_class(server, web, admission)
    return made(command, host=HOST, port=admission.port, title="Delta", templates_path=_PAGE)


def _server_class(server: Any, web: Any, admission: Admission) -> Any:
    """The server of textual-serve, with a guard. Its module is there with the extra only."""
    # It has no other place to say what is made for a visitor.
    service = import_module("textual_serve.app_service").AppService
    server.AppService = _dashboard_class(service)

    class LoopbackServer(server.Server):
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, **more)
            self._visits: set[asyncio.Task[Any]] = set()

        async def _make_app(self) -> Any:
            app = await super()._make_app()
            app.middlewares.append(_guard(web, admission))
            app.router.add_static("/page", _PAGE)
            app.on_response_prepare.append(_keep_within(admission.port))
            return app

        async def handle_websocket(self, request: Any) -> Any:
            """A visit, from its page's first word to its last."""
            visit = asyncio.current_task()
            assert visit is not None
            self._visits.add(visit)
            try:
                return await super().handle_websocket(request)
            finally:
                self._visits.discard(visit)

        async def on_shutdown(self, app: Any) -> None:
            """Visits end now: the server would wait long for them, as if Ctrl-C did nothing."""
            visits = set(self._visits)
            for visit in visits:
                visit.cancel()
            if visits:
                await asyncio.wait(visits, timeout=_END_S)

        async def on_startup(self, app: Any) -> None:
            """Nothing goes to stdout: the command line has told where to look."""

        def initialize_logging(self) -> None:
            """The command line's own stays: that of the server shows variables of tracebacks."""
            # It would hold the secret: the first visit has it in its address.
            logging.getLogger("aiohttp.access").disabled = True

    return LoopbackServer


def _dashboard_class(service: Any) -> Any:
    """The process of a visitor: one that cannot start says why, and its end is the visit's."""

    class Dashboard(service):
        _has_begun = False

        async def _open_app_process(self, *size: int, **sizes: int) -> Any:
            process = await super()._open_app_process(*size, **sizes)
            # What it says there would be written to our stdout at its end.
            self._talk, process.stderr = process.stderr, asyncio.StreamReader()
            process.stderr.feed_eof()
            return process

        async def on_data(self, payload: bytes) -> None:
            self._has_begun = True
            await super().on_data(payload)

        async def run(self) -> None:
            await super().run()
            if not self._has_begun:
                talk = await self._talk.read()
                await self.remote_write_bytes(talk.replace(b"\n", b"\r\n"))
            await self.remote_close()

    return Dashboard


def _guard(web: Any, admission: Admission) -> Any:
    @web.middleware
    async def guard(request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        if not admission.is_from_here(request.headers):
            raise web.HTTPForbidden(text=_FROM_ELSEWHERE)
        if admission.has_other_name(request.headers):
            raise web.HTTPFound(admission.origin + request.path_qs)
        if request.path == "/" and admission.lets_in(request.query.get(TOKEN)):
            raise _first_visit(web, admission, request)
        if not admission.lets_in(request.cookies.get(admission.cookie)):
            raise web.HTTPForbidden(text=_NOT_LET_IN)
        return await handler(request)

    return guard


def _first_visit(web: Any, admission: Admission, request: Any) -> Any:
    """Moves the secret to a cookie: in an address it is seen, kept and passed on."""
    rest = [(name, value) for name, value in request.query.items() if name != TOKEN]
    page = str(request.rel_url.with_query(rest))
    answer = web.HTTPFound(page, headers={"Cache-Control": "no-store"})
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        # From a link of another site, as a terminal in a browser is: redirected from there, the
        # browser would send no strict cookie. To a page of ours that leads on it does.
        answer = web.HTTPOk(headers={"Cache-Control": "no-store", "Refresh": f"0; url={page}"})
    secret = request.query[TOKEN]
    answer.set_cookie(admission.cookie, secret, httponly=True, samesite="Strict")
    return answer


def _keep_within(port: int) -> Callable[[Any, Any], Awaitable[None]]:
    """Tells the browser to load nothing from elsewhere, and no other site to frame the page."""
    policy = (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        f"connect-src 'self' ws://{HOST}:{port}; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )

    async def keep(_request: Any, response: Any) -> None:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"

    return keep
