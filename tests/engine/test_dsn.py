import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from delta_cli import Client, ConfigError, SyncClient
from delta_cli.engine.database import Database
from delta_cli.engine.dsn import liveness_settings, mask_dsn

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


STRANGE_PORTS = [
    "postgresql://bob:sesame@host:notaport/db",
    "postgresql://host:notaport/db",
    "postgresql://host/db?port=notaport",
    "host=h port=notaport",
]


@pytest.mark.parametrize("dsn", STRANGE_PORTS)
async def test_a_port_that_is_no_number_is_told_as_such_and_not_shown(dsn: str) -> None:
    with pytest.raises(ConfigError, match=r"^dsn is not .*: its port is not a number$") as caught:
        await Client(dsn).open()
    assert "notaport" not in f"{caught.value}{caught.value.hint}{mask_dsn(dsn)}"


@pytest.mark.parametrize("setting", ["DELTA_DSN", "DATABASE_URL"])
def test_a_dsn_that_cannot_be_read_is_told_by_where_it_came_from(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"^dsn is not a connection string"):
        SyncClient("bob@host")
    monkeypatch.setenv(setting, "bob@host")
    with pytest.raises(ConfigError, match=f"^{setting} is not a connection string"):
        SyncClient()
