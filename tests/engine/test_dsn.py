from psycopg.conninfo import conninfo_to_dict, make_conninfo

from delta_cli import SyncClient
from delta_cli.engine.database import Database
from delta_cli.engine.dsn import liveness_settings

SETTINGS = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


async def test_the_client_s_connections_notice_that_a_server_fell_silent(dsn: str) -> None:
    async with await Database(dsn).connect() as connection:
        assert SETTINGS.items() <= connection.info.get_parameters().items()


def test_the_sync_client_s_connections_notice_it_too(dsn: str) -> None:
    with SyncClient(dsn) as client, client._pool.connection() as connection:
        assert SETTINGS.items() <= connection.info.get_parameters().items()


async def test_what_the_dsn_says_about_it_wins(dsn: str) -> None:
    own = {"keepalives_idle": "60", "tcp_user_timeout": "0"}
    async with await Database(make_conninfo(dsn, **own)).connect() as connection:
        parameters = connection.info.get_parameters()
    assert parameters["keepalives_idle"] == "60"
    assert parameters.get("tcp_user_timeout", "0") == "0"
    assert parameters["keepalives_count"] == "3"


def test_a_dsn_without_settings_stays_as_it_is_read() -> None:
    url = "postgresql://bob@host/db?keepalives_count=9"
    assert "keepalives_count" not in liveness_settings(url)
    assert conninfo_to_dict(url, **liveness_settings(url))["host"] == "host"
