from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from delta_cli import (
    ConfigError,
    ConnectionFailed,
    DeltaError,
    InvalidObject,
    NotFound,
    ResourceState,
    StateConflict,
    SyncClient,
)
from delta_cli.engine.own_pool import OwnPool


@dataclass
class Note:
    key: str
    text: str = ""
    kind: ClassVar[str] = "note"

    @property
    def id(self) -> str:
        return self.key


@pytest.fixture
def client(dsn: str) -> Generator[SyncClient]:
    with SyncClient(dsn) as client:
        yield client


def count(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("select count(*) from delta.delta_resource").fetchone()
    assert row is not None
    return row[0]


def test_an_inform_says_what_it_did_and_carries_the_row(client: SyncClient):
    first = client.inform(Note("a", "one"))
    again = client.inform(Note("a", "one"))
    changed = client.inform(Note("a", "two"))
    assert [first.outcome, again.outcome, changed.outcome] == ["created", "unchanged", "updated"]
    assert changed.row.generation == 2
    assert changed.row.object == {"key": "a", "text": "two"}


def test_many_objects_are_counted_batch_by_batch(client: SyncClient, dsn: str):
    seen: list[int] = []
    counts = client.inform_many(
        (Note(f"n{number}") for number in range(2_500)),
        on_progress=lambda so_far: seen.append(so_far.seen),
    )
    assert (counts.created, count(dsn)) == (2_500, 2_500)
    assert seen == [1_000, 2_000, 2_500]


def test_an_inform_joins_the_callers_transaction_and_puts_the_search_path_back(
    client: SyncClient, dsn: str
):
    with psycopg.connect(dsn) as connection:
        connection.execute("set search_path = pg_catalog, public")
        client.inform(Note("kept"), connection=connection)
        row = connection.execute("show search_path").fetchone()
        assert row == ("pg_catalog, public",)
        assert count(dsn) == 0
        connection.commit()
        client.inform(Note("lost"), connection=connection)
        connection.rollback()
    assert count(dsn) == 1


def test_a_bad_object_is_refused_and_nothing_of_its_batch_is_stored(client: SyncClient, dsn: str):
    with pytest.raises(InvalidObject, match="text"):
        client.inform_many([Note("good"), Note("bad", "nul \0")])
    assert count(dsn) == 0


def test_a_resource_that_is_not_synced_is_not_invalidated(client: SyncClient):
    client.inform(Note("a"))
    with pytest.raises(StateConflict, match="unknown"):
        client.invalidate("note", "a")
    with pytest.raises(NotFound, match="note/b"):
        client.invalidate("note", "b")


def sync_notes(client: SyncClient, dsn: str, *keys: str) -> None:
    client.inform_many(map(Note, keys))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "update delta.delta_resource"
            " set state = 'synced', synced_at = now(), synced_generation = generation"
        )


def logged(dsn: str) -> list[tuple[str, str, str]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        query = "select category, object_id, actor from delta.delta_event order by id"
        return connection.execute(query).fetchall()


def test_a_synced_resource_is_invalidated_with_its_actor(client: SyncClient, dsn: str):
    sync_notes(client, dsn, "a")
    row = client.invalidate("note", "a", actor="ann")
    assert row.state is ResourceState.EXPIRED
    assert logged(dsn) == [("object_invalidated", "a", "ann")]


def test_a_repair_in_a_callers_transaction_keeps_the_log_from_nobody(client: SyncClient, dsn: str):
    sync_notes(client, dsn, "a", "b", "c")
    with psycopg.connect(dsn) as connection:
        client.invalidate("note", "c", actor="ann", connection=connection)
        client.invalidate("note", "a", actor="ann", connection=connection)
        client.invalidate("note", "b", actor="bob")
        assert logged(dsn) == [("object_invalidated", "b", "bob")]
    # Read by the order of their ids: who reads on from bob's event misses none.
    assert logged(dsn) == [
        ("object_invalidated", "b", "bob"),
        ("object_invalidated", "c", "ann"),
        ("object_invalidated", "a", "ann"),
    ]


def test_a_repair_that_is_rolled_back_leaves_no_event(client: SyncClient, dsn: str):
    sync_notes(client, dsn, "a")
    with psycopg.connect(dsn) as connection:
        client.invalidate("note", "a", actor="ann", connection=connection)
        connection.rollback()
    assert logged(dsn) == []


def test_an_inform_run_is_queued_for_a_known_kind_only(client: SyncClient, dsn: str):
    with pytest.raises(NotFound, match="note"):
        client.schedule_inform("note")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "insert into delta.delta_controller (kind, parallelism) values ('note', 1)"
        )
    assert client.schedule_inform("note", requested_by="ann").state == "queued"


def test_without_a_configured_database_it_says_what_to_do():
    with pytest.raises(ConfigError, match="none is configured"):
        SyncClient()


def test_a_server_that_is_not_there_is_told_at_once_without_the_password():
    client = SyncClient("postgresql://bob:sesame@127.0.0.1:1/nowhere")
    with pytest.raises(ConnectionFailed, match="refused") as caught, client:
        pass
    assert "sesame" not in str(caught.value)
    assert "sesame" not in repr(client)


def test_a_missing_database_is_told_with_the_servers_reason_and_the_way_out(dsn: str):
    with pytest.raises(ConnectionFailed, match='database "nowhere" does not exist') as caught:
        SyncClient(make_conninfo(dsn, dbname="nowhere")).__enter__()
    assert "create the database" in str(caught.value.hint)


def accept_connections(dsn: str, *, accepted: bool) -> None:
    """Let sessions begin in the database, or end those there are and refuse others."""
    database = str(conninfo_to_dict(dsn)["dbname"])
    with psycopg.connect(dsn, dbname="postgres", autocommit=True) as server:
        server.execute(
            SQL("alter database {} allow_connections {}").format(Identifier(database), accepted)
        )
        if not accepted:
            server.execute(
                "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = %s",
                [database],
            )


def test_an_outage_between_two_calls_is_told_with_its_cause_until_it_is_over(dsn: str):
    with SyncClient(dsn) as client:
        assert client.inform(Note("a")).outcome == "created"
        accept_connections(dsn, accepted=False)
        client._pool.timeout = 0.5
        with pytest.raises(ConnectionFailed, match="is not currently accepting connections"):
            client.inform(Note("a"))
        accept_connections(dsn, accepted=True)
        client._pool.timeout = 60.0
        assert client.inform(Note("a")).outcome == "unchanged"


def test_a_client_that_is_not_open_says_so_and_can_be_opened_again(dsn: str):
    client = SyncClient(dsn)
    for times in (1, 2):
        with pytest.raises(DeltaError, match="not open") as caught:
            client.inform(Note("a"))
        assert "with SyncClient(...) as client" in str(caught.value.hint)
        with client:
            client.inform(Note("a", f"text {times}"))
            assert client.inform(Note("a", f"text {times}")).row.generation == times


def test_a_pool_that_is_made_while_another_thread_closes_the_client_is_closed_too(
    dsn: str, monkeypatch: pytest.MonkeyPatch
):
    made: list[OwnPool] = []
    client = SyncClient(dsn)
    make_pool = client._make_pool

    def closed_meanwhile() -> OwnPool:
        made.append(make_pool())
        client.__exit__()
        return made[-1]

    monkeypatch.setattr(client, "_make_pool", closed_meanwhile)
    with client, pytest.raises(DeltaError, match="not open"):
        client.inform(Note("a"))
    assert [pool.closed for pool in made] == [True]
    assert client._pools == {}
