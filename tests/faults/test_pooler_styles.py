"""Through PgBouncer to a database whose times and durations are written in a style of its own."""

from datetime import timedelta
from pathlib import Path

import psycopg

from delta_cli import Client, NamespaceConfig
from tests.support.engine import Item, item_controller, quick_config
from tests.support.pooler import needs_pgbouncer, pgbouncer

pytestmark = needs_pgbouncer

SET_STYLES = """
do $$ begin
    execute format('alter database %I set datestyle to German, DMY', current_database());
    execute format('alter database %I set intervalstyle to sql_standard', current_database());
end $$
"""
LIMITED = NamespaceConfig(expiry_ttl=timedelta(days=3), max_workers=1)


async def nothing(_: object) -> None:
    """A work."""


async def test_they_are_read_and_others_keep_their_styles(
    dsn: str, place: Path, worker_id: str
) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SET_STYLES)
    async with pgbouncer(place / f"pooler-{worker_id}", dsn) as pooled:
        config = quick_config(item_controller(nothing), namespaces={"eu": LIMITED})
        async with Client(pooled, config) as client:
            await client.start()
            row = await client.control.change_namespace("eu", {"max_workers": 2})
            assert row.expiry_ttl_s == 259_200
            resource = await client.inform(Item("a"))
            done = await client.wait_for(resource, timeout=timedelta(seconds=20))
            assert done.created_at == resource.row.created_at
            assert (await client.status()).kinds
        with psycopg.connect(pooled) as other:
            styles = "select current_setting('datestyle'), current_setting('intervalstyle')"
            assert other.execute(styles).fetchone() == ("German, DMY", "sql_standard")
