import asyncio
import dataclasses
import re
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import AsyncConnection, IsolationLevel, errors
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row, scalar_row

from delta_cli.engine.errors import (
    ConfigError,
    DeltaError,
    MigrationEdited,
    MigrationPartial,
    SchemaBehind,
    SchemaForeign,
    SchemaNewer,
)
from delta_cli.engine.explain import explain
from delta_cli.engine.queries import migration as queries
from delta_cli.engine.schema import (
    Migration,
    migrate,
    pending,
    require_current,
    shipped_migrations,
    status,
)
from tests.support.migrations import write_migrations
from tests.support.waiting import eventually

Connection = AsyncConnection[Any]
Reader = Callable[..., Awaitable[object]]

FIRST = "create table thing (id int primary key)"
OTHER_TYPES = """
create table delta.delta_migration as
select '1' as version, '' as name, '' as checksum, now() as started_at, now() as applied_at
"""
CHECKERS: list[Reader] = [pending, require_current, migrate]


@pytest.fixture
async def connection(empty_dsn: str) -> AsyncGenerator[Connection]:
    async with await AsyncConnection.connect(empty_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def other(empty_dsn: str) -> AsyncGenerator[Connection]:
    async with await AsyncConnection.connect(empty_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def two(tmp_path: Path) -> list[Migration]:
    return write_migrations(
        tmp_path, _001_first=FIRST, _002_second="alter table thing add column name text"
    )


async def values(connection: Connection, query: LiteralString) -> list[Any]:
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query)
        return await cursor.fetchall()


async def tables(connection: Connection) -> list[str]:
    return await values(
        connection,
        "select schemaname || '.' || tablename from pg_tables"
        " where schemaname not in ('pg_catalog', 'information_schema') order by 1",
    )


# Applying


async def test_an_empty_database_gets_all_that_is_shipped(connection: Connection):
    assert await migrate(connection) == shipped_migrations()
    await require_current(connection)
    assert await pending(connection) == []


async def test_a_second_time_there_is_nothing_to_do(connection: Connection):
    await migrate(connection)
    assert await migrate(connection) == []


async def test_only_what_is_new_is_applied(connection: Connection, two: list[Migration]):
    await migrate(connection, migrations=two[:1])
    assert await pending(connection, migrations=two) == two[1:]
    assert await migrate(connection, migrations=two) == two[1:]


async def test_each_applied_file_is_told_with_its_duration(
    connection: Connection, two: list[Migration]
):
    told: list[tuple[Migration, timedelta]] = []
    await migrate(connection, migrations=two, on_applied=lambda *arguments: told.append(arguments))
    assert [file for file, _ in told] == two
    assert all(timedelta(0) < duration < timedelta(minutes=1) for _, duration in told)


async def test_unqualified_names_mean_the_schema(connection: Connection, two: list[Migration]):
    await migrate(connection, schema="user", migrations=two)
    assert await tables(connection) == ["user.delta_migration", "user.thing"]


async def test_two_schemas_of_one_database_know_nothing_of_each_other(
    connection: Connection, two: list[Migration]
):
    await migrate(connection, schema="one", migrations=two)
    await migrate(connection, schema="other", migrations=two[:1])
    assert await pending(connection, schema="one", migrations=two) == []
    assert await pending(connection, schema="other", migrations=two) == two[1:]


async def test_an_empty_schema_that_an_administrator_made_is_used(connection: Connection):
    await connection.execute("create schema delta")
    assert await migrate(connection) == shipped_migrations()


async def test_a_percent_sign_in_a_file_is_itself(connection: Connection, tmp_path: Path):
    files = write_migrations(
        tmp_path, _001_percent="create table note as select '100 %s %(x)s' as text"
    )
    await migrate(connection, migrations=files)
    assert await values(connection, "select text from delta.note") == ["100 %s %(x)s"]


@pytest.mark.parametrize("autocommit", [True, False])
async def test_a_connection_is_left_as_it_came(
    empty_dsn: str, other: Connection, tmp_path: Path, *, autocommit: bool
):
    files = write_migrations(
        tmp_path, _001_first=FIRST, _002_more="-- delta: no transaction\ncreate table more ()"
    )
    async with await AsyncConnection.connect(empty_dsn, autocommit=autocommit) as connection:
        await migrate(connection, migrations=files)
        assert await tables(other) == ["delta.delta_migration", "delta.more", "delta.thing"]
        await status(connection, migrations=files)
        await require_current(connection, migrations=files)
        assert connection.autocommit is autocommit
        assert connection.info.transaction_status == TransactionStatus.IDLE
        assert await values(connection, "show search_path") == ['"$user", public']


async def test_rows_of_any_shape_will_do(empty_dsn: str):
    async with await AsyncConnection[DictRow].connect(
        empty_dsn, row_factory=dict_row
    ) as connection:
        await migrate(connection)
        await require_current(connection)


async def test_an_open_transaction_is_refused(connection: Connection):
    async with connection.transaction():
        with pytest.raises(ConfigError, match="inside a transaction"):
            await migrate(connection)


async def test_a_schema_name_is_checked_first(connection: Connection):
    for function in (migrate, pending, require_current, status):
        with pytest.raises(ConfigError, match="'pg_temp' belongs to Postgres"):
            await function(connection, schema="pg_temp")


# Failing


async def test_a_failed_file_leaves_nothing_and_the_files_before_it_stay(
    connection: Connection, tmp_path: Path
):
    files = write_migrations(
        tmp_path, _001_first=FIRST, _002_bad="create table more (); create table thing ();"
    )
    with pytest.raises(DeltaError) as failed:
        await migrate(connection, migrations=files)
    assert failed.value.message == '002_bad.sql failed: relation "thing" already exists'
    assert failed.value.hint == "nothing of it was kept"
    assert await tables(connection) == ["delta.delta_migration", "delta.thing"]
    assert await pending(connection, migrations=files) == files[1:]


async def test_a_first_file_that_fails_leaves_no_schema(connection: Connection, tmp_path: Path):
    with pytest.raises(DeltaError, match=r"001_bad\.sql failed: syntax error"):
        await migrate(connection, migrations=write_migrations(tmp_path, _001_bad="creat table"))
    assert await values(connection, "select to_regnamespace('delta')") == [None]


async def test_a_lost_connection_leaves_nothing(
    connection: Connection, other: Connection, tmp_path: Path
):
    files = write_migrations(tmp_path, _001_slow=f"{FIRST}; select pg_sleep(60)")
    task = asyncio.create_task(migrate(connection, migrations=files))
    await eventually(
        lambda: values(
            other,
            "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'",
        )
    )
    with pytest.raises(psycopg.OperationalError):
        await task
    assert await tables(other) == []


async def test_an_index_can_be_made_concurrently(connection: Connection, tmp_path: Path):
    files = write_migrations(
        tmp_path,
        _001_first=FIRST,
        _002_index="-- delta: no transaction\n"
        "create index concurrently thing_a on thing (id); -- and\n"
        "create index concurrently thing_b on thing (id);",
    )
    assert await migrate(connection, migrations=files) == files
    assert await values(
        connection, "select indexname from pg_indexes where tablename = 'thing' order by 1"
    ) == ["thing_a", "thing_b", "thing_pkey"]
    assert await values(
        connection,
        "select count(*) from pg_locks where locktype = 'advisory'"
        " and database = (select oid from pg_database where datname = current_database())",
    ) == [0]


@pytest.fixture
def half(tmp_path: Path) -> list[Migration]:
    return write_migrations(
        tmp_path,
        _001_half="-- delta: no transaction\ncreate table one (); create table one (); select 1",
    )


async def test_a_file_without_a_transaction_that_fails_is_partial(
    connection: Connection, half: list[Migration]
):
    with pytest.raises(MigrationPartial) as failed:
        await migrate(connection, migrations=half)
    assert failed.value.message == (
        "001_half.sql began in schema 'delta' and did not finish: "
        '001_half.sql failed: relation "one" already exists'
    )
    assert await tables(connection) == ["delta.delta_migration", "delta.one"]
    assert await values(connection, "show search_path") == ['"$user", public']


@pytest.mark.parametrize("check", CHECKERS)
async def test_what_is_partial_stays_so_until_a_person_has_looked(
    connection: Connection, half: list[Migration], check: Reader
):
    with pytest.raises(MigrationPartial):
        await migrate(connection, migrations=half)
    with pytest.raises(MigrationPartial) as refused:
        await check(connection, migrations=half)
    assert refused.value.message == "001_half.sql began in schema 'delta' and did not finish"


async def test_the_hints_for_what_is_partial_work(connection: Connection, half: list[Migration]):
    with pytest.raises(MigrationPartial) as failed:
        await migrate(connection, migrations=half)
    _, undo, _, finish, _ = str(failed.value.hint).split("`")
    async with connection.transaction(force_rollback=True):
        await connection.execute(undo.encode())
        assert await pending(connection, migrations=half) == half
    await connection.execute(finish.encode())
    assert await pending(connection, migrations=half) == []


async def test_a_process_that_dies_without_a_transaction_leaves_it_partial(
    connection: Connection, other: Connection, tmp_path: Path
):
    files = write_migrations(
        tmp_path, _001_slow="-- delta: no transaction\ncreate table one (); select pg_sleep(60)"
    )
    task = asyncio.create_task(migrate(connection, migrations=files))
    await eventually(
        lambda: values(
            other,
            "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'",
        )
    )
    with pytest.raises(psycopg.OperationalError):
        await task
    with pytest.raises(MigrationPartial):
        await migrate(other, migrations=files)


# At the same time


async def test_two_at_once_apply_each_file_once(
    connection: Connection, other: Connection, two: list[Migration]
):
    applied = await asyncio.gather(
        migrate(connection, migrations=two), migrate(other, migrations=two)
    )
    assert sorted(file.version for files in applied for file in files) == [1, 2]


async def test_the_second_waits_for_an_index_of_the_first(
    connection: Connection, other: Connection, tmp_path: Path
):
    files = write_migrations(
        tmp_path,
        _001_first=FIRST,
        _002_index="-- delta: no transaction\n"
        "select pg_sleep(0.2); create index concurrently on thing (id); select pg_sleep(0.2)",
    )
    applied = await asyncio.gather(
        migrate(connection, migrations=files), migrate(other, migrations=files)
    )
    assert sorted(file.version for files in applied for file in files) == [1, 2]


async def test_a_connection_that_wants_old_snapshots_sees_what_the_first_applied(
    connection: Connection, other: Connection, tmp_path: Path
):
    files = write_migrations(tmp_path, _001_slow=f"{FIRST}; select pg_sleep(0.3)")
    await other.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    first = asyncio.create_task(migrate(connection, migrations=files))
    assert sorted([await migrate(other, migrations=files), await first]) == [[], files]


async def test_processes_that_start_at_once_apply_each_file_once(empty_dsn: str):
    program = (
        "import asyncio, sys, psycopg\n"
        "from delta_cli.engine.schema import migrate\n"
        "async def main():\n"
        "    async with await psycopg.AsyncConnection.connect(sys.argv[1]) as connection:\n"
        "        print(*[file.version for file in await migrate(connection)])\n"
        "asyncio.run(main())\n"
    )
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            empty_dsn,
            cwd=Path(__file__).parents[2],
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(3)
    ]
    outputs = [(await process.communicate())[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    applied = [int(word) for output in outputs for word in output.split()]
    assert sorted(applied) == [file.version for file in shipped_migrations()]


# Histories that do not agree


@pytest.mark.parametrize("check", CHECKERS)
async def test_a_schema_of_a_newer_delta_is_refused(
    connection: Connection, two: list[Migration], check: Reader
):
    await migrate(connection, migrations=two)
    with pytest.raises(SchemaNewer) as refused:
        await check(connection, migrations=two[:1])
    assert refused.value.message == (
        "schema 'delta' has applied 002_second.sql, "
        "and the last that this Delta knows is 001_first.sql"
    )
    assert refused.value.hint == "install the newer deltaloop that has migrated it"


@pytest.mark.parametrize("check", CHECKERS)
async def test_an_edited_migration_is_refused(
    connection: Connection, two: list[Migration], check: Reader
):
    await migrate(connection, migrations=two[:1])
    edited = dataclasses.replace(two[0], checksum="0" * 64)
    with pytest.raises(MigrationEdited) as refused:
        await check(connection, migrations=[edited, two[1]])
    assert refused.value.message == (
        "001_first.sql is not the file that schema 'delta' has applied"
    )
    assert await pending(connection, migrations=two) == two[1:]


@pytest.mark.parametrize("check", [*CHECKERS, status])
@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("create table delta.delta_resource ()", "delta_resource"),
        ("create table delta.invoice (id int)", "invoice"),
        ("create view delta.report as select 1", "report"),
        ("create sequence delta.numbers", "numbers"),
        ("create type delta.delta_resource_state as enum ('a')", "delta_resource_state"),
    ],
)
async def test_a_schema_with_other_things_in_it_is_refused(
    connection: Connection, check: Reader, made: LiteralString, named: str
):
    await connection.execute("create schema delta")
    await connection.execute(made)
    with pytest.raises(SchemaForeign) as refused:
        await check(connection)
    assert refused.value.message == f"schema 'delta' holds what Delta did not make: {named}"
    assert refused.value.hint == "give Delta a schema of its own: --schema NAME"


async def test_what_came_with_an_extension_is_no_stranger(connection: Connection):
    await connection.execute("create schema delta")
    await connection.execute("create extension pg_buffercache schema delta")
    assert await migrate(connection) == shipped_migrations()


async def test_of_many_other_things_the_first_few_are_named(connection: Connection):
    for number in range(5):
        await connection.execute(f"create table public.t{number} ()".encode())
    with pytest.raises(SchemaForeign, match=r"did not make: t0, t1, t2 and 2 more$"):
        await migrate(connection, schema="public")


@pytest.mark.parametrize("check", [*CHECKERS, status])
@pytest.mark.parametrize(
    "made",
    [
        "create table delta.delta_migration (version int, applied_at timestamptz)",
        OTHER_TYPES,
        "create type delta.delta_migration as (version int)",
    ],
)
async def test_a_record_of_migrations_in_another_shape_is_refused(
    connection: Connection, check: Reader, made: LiteralString
):
    await connection.execute("create schema delta")
    await connection.execute(made)
    with pytest.raises(SchemaForeign) as refused:
        await check(connection)
    assert "delta_migration" in refused.value.message


async def test_a_database_without_the_schema_is_behind(connection: Connection):
    with pytest.raises(SchemaBehind) as refused:
        await require_current(connection)
    assert refused.value.message.startswith(
        "schema 'delta' is not migrated yet; to be applied: 001_"
    )
    assert refused.value.hint == "run: delta migrate"


@pytest.mark.parametrize(
    ("variable", "schema", "command"),
    [
        ("", "delta", "delta migrate"),
        ("", "shop", "delta migrate --schema shop"),
        ("shop", "shop", "delta migrate"),
        ("shop", "delta", "delta migrate --schema delta"),
    ],
)
async def test_who_is_behind_is_told_the_command_that_migrates_this_schema(
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    schema: str,
    command: str,
):
    monkeypatch.setenv("DELTA_SCHEMA", variable)
    with pytest.raises(SchemaBehind) as refused:
        await require_current(connection, schema=schema)
    assert refused.value.hint == f"run: {command}"
    meaning = explain(errors.UndefinedTable("no such table"), "", schema)
    assert meaning is not None and meaning.hint == f"run: {command}"


async def test_a_schema_that_lacks_migrations_is_behind(
    connection: Connection, two: list[Migration]
):
    await migrate(connection, migrations=two[:1])
    with pytest.raises(SchemaBehind) as refused:
        await require_current(connection, migrations=two)
    assert refused.value.message == (
        "schema 'delta' has 1 of 2 migrations; to be applied: 002_second.sql"
    )


# Looking


async def test_status_tells_applied_partial_and_pending(connection: Connection, tmp_path: Path):
    files = write_migrations(
        tmp_path,
        _001_first=FIRST,
        _002_half="-- delta: no transaction\nselect 1/0",
        _003_third="select 1",
    )
    with pytest.raises(MigrationPartial):
        await migrate(connection, migrations=files)
    first, second, third = await status(connection, migrations=files)
    assert [(row.version, row.name, row.state) for row in (first, second, third)] == [
        (1, "first", "applied"),
        (2, "half", "partial"),
        (3, "third", "pending"),
    ]
    assert first.applied_at is not None
    assert first.duration_ms is not None
    assert (second.applied_at, second.duration_ms) == (third.applied_at, third.duration_ms)


async def test_status_shows_also_what_only_a_newer_delta_knows(
    connection: Connection, two: list[Migration]
):
    await migrate(connection, migrations=two)
    rows = await status(connection, migrations=two[:1])
    assert [(row.name, row.state) for row in rows] == [("first", "applied"), ("second", "applied")]


async def test_looking_changes_nothing(connection: Connection, two: list[Migration]):
    await connection.execute("set default_transaction_read_only = on")
    assert await pending(connection, migrations=two) == two
    assert [row.state for row in await status(connection, migrations=two)] == ["pending"] * 2
    assert await tables(connection) == []


async def test_looking_inside_a_transaction_does_not_end_it(
    connection: Connection, two: list[Migration]
):
    async with connection.transaction():
        await connection.execute("create table mine ()")
        assert await pending(connection, migrations=two) == two
    assert await tables(connection) == ["public.mine"]


async def test_a_current_schema_is_checked_in_one_round_trip(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
):
    await migrate(connection)
    statements: list[object] = []
    execute = psycopg.AsyncCursor.execute

    async def counted(self: psycopg.AsyncCursor[Any], query: Any, *arguments: Any) -> Any:
        statements.append(query)
        return await execute(self, query, *arguments)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", counted)
    await require_current(connection)
    assert len(statements) == 1


# Rights


@pytest.fixture
async def clerk(connection: Connection, worker_id: str) -> AsyncGenerator[str]:
    """A role without rights, which the connection is told to play."""
    name = f"clerk_{worker_id}"
    await connection.execute(f"create role {name}".encode())
    yield name
    await connection.execute("reset role")
    await connection.execute(f"drop owned by {name}".encode())
    await connection.execute(f"drop role {name}".encode())


async def play(connection: Connection, role: str) -> None:
    await connection.execute(f"set role {role}".encode())


async def test_a_role_that_may_not_create_schemas_is_told_so(connection: Connection, clerk: str):
    await play(connection, clerk)
    database = connection.info.dbname
    with pytest.raises(DeltaError) as refused:
        await migrate(connection)
    assert refused.value.message == (
        f"role '{clerk}' lacks the right CREATE on database \"{database}\", "
        "needed to create the schema 'delta'"
    )
    await connection.execute("reset role")
    grant = f'grant create on database "{database}" to "{clerk}"'
    assert refused.value.hint == f"let its owner run: {grant}"
    await connection.execute(grant.encode())
    await play(connection, clerk)
    assert await migrate(connection) == shipped_migrations()


async def test_a_role_that_may_not_create_in_the_schema_is_told_so(
    connection: Connection, clerk: str, two: list[Migration]
):
    await connection.execute("create schema delta")
    await connection.execute(f"grant usage on schema delta to {clerk}".encode())
    await play(connection, clerk)
    with pytest.raises(DeltaError) as refused:
        await migrate(connection, migrations=two)
    assert refused.value.message == (
        f"role '{clerk}' lacks the right CREATE on schema delta, needed to migrate it"
    )


async def test_a_role_that_does_not_own_the_tables_is_told_so(
    connection: Connection, clerk: str, two: list[Migration]
):
    await migrate(connection, migrations=two[:1])
    await connection.execute(f"grant all on schema delta to {clerk}".encode())
    await connection.execute(f"grant all on all tables in schema delta to {clerk}".encode())
    await play(connection, clerk)
    with pytest.raises(DeltaError) as refused:
        await migrate(connection, migrations=two)
    assert refused.value.message == (
        f"role '{clerk}' lacks a right that 002_second.sql needs: must be owner of table thing"
    )


@pytest.mark.parametrize("check", [*CHECKERS, status])
async def test_a_role_that_may_not_look_is_told_so(
    connection: Connection, clerk: str, check: Reader
):
    await migrate(connection)
    await play(connection, clerk)
    with pytest.raises(DeltaError) as refused:
        await check(connection)
    assert refused.value.message == (
        f"role '{clerk}' lacks the right USAGE on schema delta, needed to see what is applied"
    )
    await connection.execute("reset role")
    await connection.execute(f"grant usage on schema delta to {clerk}".encode())
    await play(connection, clerk)
    with pytest.raises(DeltaError) as refused:
        await check(connection)
    assert refused.value.message == (
        f"role '{clerk}' lacks the right SELECT on table delta.delta_migration, "
        "needed to see what is applied"
    )


# Statements


@pytest.mark.parametrize("name", [name for name in vars(queries) if name.isupper()])
async def test_every_statement_is_understood_by_postgres(connection: Connection, name: str):
    await migrate(connection)
    text = getattr(queries, name).replace("{schema}", "delta")
    parameters = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", text)))
    for number, parameter in enumerate(parameters, start=1):
        text = text.replace(f"%({parameter})s", f"${number}")
    can_be_prepared = text.split()[0] in ("select", "insert", "update")
    async with connection.transaction(force_rollback=True):
        await connection.execute(f"{'prepare probe as' if can_be_prepared else ''} {text}".encode())
