import hashlib
from pathlib import Path

import pytest

from delta_cli.engine.errors import ConfigError
from delta_cli.engine.schema import check_schema_name, shipped_migrations
from tests.support.migrations import write_migrations

CHECKOUT = Path(__file__).parents[2] / "migrations"


def test_a_checkout_ships_its_own_folder():
    assert [file.file_name for file in shipped_migrations()] == sorted(
        path.name for path in CHECKOUT.glob("*.sql")
    )


def test_shipped_files_are_ascii_so_that_a_database_of_any_encoding_can_run_them():
    assert all(file.sql.isascii() for file in shipped_migrations())


def test_a_file_is_read_whole(tmp_path: Path):
    (only,) = write_migrations(tmp_path, _001_two_words="select 1;\n")
    assert (only.version, only.name, only.sql) == (1, "two_words", "select 1;\n")
    assert only.checksum == hashlib.sha256(b"select 1;\n").hexdigest()
    assert only.transactional


def test_line_ends_do_not_change_a_checksum(tmp_path: Path):
    (unix,) = write_migrations(tmp_path / "unix", _001_same="select 1;\nselect 2;\n")
    (windows,) = write_migrations(tmp_path / "windows", _001_same="select 1;\r\nselect 2;\r\n")
    assert unix == windows


def test_files_are_in_the_order_of_their_numbers_and_others_are_no_migrations(tmp_path: Path):
    (tmp_path / "README.md").touch()
    names = {f"_{number:03}_step": "select 1" for number in range(11, 0, -1)}
    assert [file.version for file in write_migrations(tmp_path, **names)] == list(range(1, 12))


def test_a_file_can_say_that_it_wants_no_transaction(tmp_path: Path):
    (only,) = write_migrations(tmp_path, _001_slow="-- An index.\n-- delta: no transaction\n")
    assert not only.transactional


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "no migrations in"),
        (["002_second.sql"], "migrations begin with 002_second.sql, not with 001"),
        (["001_a.sql", "003_c.sql"], "without gaps or doubles: 003_c.sql comes after 001_a.sql"),
        (["001_a.sql", "001_b.sql"], "without gaps or doubles: 001_"),
        (["1_a.sql"], "'1_a.sql' is not the name of a migration"),
        (["001.sql"], "'001.sql' is not the name of a migration"),
        (["001-a.sql"], "'001-a.sql' is not the name of a migration"),
    ],
)
def test_a_folder_that_is_no_history_is_refused(tmp_path: Path, files: list[str], message: str):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(ConfigError) as refused:
        shipped_migrations(tmp_path)
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("select 1; select 2;", ["select 1", "select 2"]),
        ("select 1;\nselect 2", ["select 1", "select 2"]),
        ("select ';'; select \"a;b\" from t", ["select ';'", 'select "a;b" from t']),
        ("select 'it''s; one'; select 2", ["select 'it''s; one'", "select 2"]),
        (r"select E'\'; one'; select 2", [r"select E'\'; one'", "select 2"]),
        ("do $$ begin; end $$; select 2", ["do $$ begin; end $$", "select 2"]),
        ("do $a$ x; $b$ y; $a$; select 2", ["do $a$ x; $b$ y; $a$", "select 2"]),
        ("-- one; two\nselect 1", ["-- one; two\nselect 1"]),
        ("/* one; two */ select 1; -- the end\n", ["/* one; two */ select 1"]),
        ("-- nothing\n", []),
    ],
)
def test_a_file_is_taken_apart_where_its_statements_end(
    tmp_path: Path, text: str, statements: list[str]
):
    (only,) = write_migrations(tmp_path, _001_text=text)
    assert list(only.statements()) == statements


@pytest.mark.parametrize("name", ["delta", "_", "delta_2", "a" * 56, "user", "public"])
def test_a_schema_may_have_any_name_that_needs_no_quotes(name: str):
    assert check_schema_name(name) == name


@pytest.mark.parametrize("name", ["", "Delta", "2nd", "a-b", 'a"b', "a.b", "é", "a" * 57, "a\n"])
def test_other_names_are_refused(name: str):
    with pytest.raises(ConfigError, match="is not valid") as refused:
        check_schema_name(name)
    assert repr(name) in refused.value.message
    assert refused.value.hint is not None


def test_a_name_that_is_too_long_is_refused_with_the_limit():
    with pytest.raises(ConfigError) as refused:
        check_schema_name("a" * 57)
    assert "at most 56" in str(refused.value.hint)


@pytest.mark.parametrize("name", ["pg_delta", "pg_catalog", "information_schema"])
def test_the_names_of_postgres_are_refused(name: str):
    with pytest.raises(ConfigError, match="belongs to Postgres"):
        check_schema_name(name)
