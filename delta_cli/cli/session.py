"""Opens what commands need: a client or a bare database, configured or embedded."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING

from delta_cli.cli.settings import DEFAULT_SCHEMA, Settings
from delta_cli.cli.talk import note

if TYPE_CHECKING:
    from delta_cli.engine.client import Client
    from delta_cli.engine.config import Config
    from delta_cli.engine.database import Database


@asynccontextmanager
async def open_client(
    settings: Settings,
    config: "Config | None" = None,
    *,
    announce: bool = True,
    dry_run: bool = False,
    creates: bool = False,
) -> "AsyncIterator[Client]":
    """An open client. Without `config`, one that has no controllers and so changes no settings.

    `announce`: say so when it is on the embedded server. `dry_run`: what it changes is undone.
    `creates`: on the embedded server, a schema of another name than the default one is made where
    it is not there; to look at one that was mistyped does not make it.
    Raises ConnectionFailed, SchemaError, and DeltaError for whatever the database refuses.
    """
    from delta_cli.cli.logs import set_up_logs
    from delta_cli.engine.client import Client
    from delta_cli.engine.config import Config

    set_up_logs(again=False)
    source = settings.database()
    if source.dsn is None and announce:
        announce_embedded()
    own = config or Config(schema=settings.schema_name)
    async with AsyncExitStack() as stack:
        dsn = source.dsn
        if not creates and own.schema != DEFAULT_SCHEMA:
            # A server that is named is migrated by nobody but who is told to.
            dsn = await stack.enter_async_context(_server(settings, announce=announce))
        async with _explained(Client(dsn, own, dry_run=dry_run), source.dsn or "") as client:
            yield client


@asynccontextmanager
async def _explained(client: "Client", dsn: str) -> "AsyncIterator[Client]":
    """The client, open; what the database refuses is told in words."""
    from delta_cli.engine.explain import explain

    try:
        async with client:
            yield client
    except Exception as error:
        meaning = explain(error, dsn, client.config.schema)
        if meaning is None or meaning is error:
            raise
        raise meaning from error


@asynccontextmanager
async def open_database(settings: Settings) -> "AsyncIterator[Database]":
    """A database whose schema may not be there yet; its pool is not open."""
    from delta_cli.engine.database import Database
    from delta_cli.engine.explain import explain

    async with _server(settings) as dsn:
        try:
            yield Database(dsn, schema=settings.schema_name, application_name="delta")
        except Exception as error:
            meaning = explain(error, dsn, settings.schema_name)
            if meaning is None or meaning is error:
                raise
            raise meaning from error


@asynccontextmanager
async def _server(settings: Settings, *, announce: bool = True) -> AsyncIterator[str]:
    source = settings.database()
    if source.dsn is not None:
        yield source.dsn
        return
    import asyncio

    from delta_cli.engine.embedded import EmbeddedServer

    if announce:
        announce_embedded()
    server = EmbeddedServer()
    try:
        yield await asyncio.to_thread(server.join)
    finally:
        await asyncio.shield(asyncio.to_thread(server.leave))


@cache
def announce_embedded() -> None:
    """Say once that no database is configured, where the embedded one is, and what else to do."""
    from delta_cli.engine.embedded import default_folder

    note(
        f"no database is configured: using the embedded Postgres in {default_folder()}; "
        "use another with --dsn or DELTA_DSN"
    )
