"""What goes wrong is told on stderr in words, gives its exit status, and changes nothing."""

import contextlib
import json
import os
from collections.abc import Generator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.cli.conftest import Here, Inform
from tests.support.command_line import CommandLine

DATABASE_COMMANDS = [
    ("status",),
    ("list",),
    ("get", "item", "a"),
    ("inform", "item"),
    ("inform", "item", "--object", '{"id": "a"}'),
    ("retry", "item", "a"),
    ("delete", "item", "--all", "--yes"),
    ("subscribe",),
    ("migrate",),
    ("migrate", "--check"),
]


@pytest.mark.parametrize("words", DATABASE_COMMANDS, ids=" ".join)
def test_without_a_server_every_command_exits_3_and_keeps_the_password(
    nowhere: CommandLine, words: tuple[str, ...]
) -> None:
    done = nowhere(*words).expect(3)
    assert done.out == ""
    assert done.err.startswith("error: cannot connect to ")
    assert "refused" in done.err
    assert "\nhint: " in done.err
    assert "hunter2" not in done.err
    assert "***" in done.err
    assert "Traceback" not in done.err


def test_the_traceback_is_shown_on_request_and_keeps_the_password(nowhere: CommandLine) -> None:
    done = nowhere("status", "--debug").expect(3)
    assert "Traceback" in done.err
    assert "hunter2" not in done.err


def test_errors_are_one_json_object_where_json_is_asked_for(nowhere: CommandLine) -> None:
    done = nowhere("status", "-o", "json").expect(3)
    error = json.loads(done.err)
    assert (error["error"], error["exit_code"]) == ("ConnectionFailed", 3)
    assert "hunter2" not in done.err
    usage = json.loads(nowhere("status", "--bogus", "--output=jsonl").expect(2).err)
    assert (usage["error"], usage["exit_code"]) == ("UsageError", 2)


def test_the_flag_beats_the_environment_in_front_and_behind(nowhere: CommandLine, dsn: str) -> None:
    nowhere("--dsn", dsn, "status").expect(0)
    nowhere("status", "--dsn", dsn).expect(0)


@pytest.mark.parametrize("words", [("status",), ("list",), ("subscribe",), ("retry", "item", "a")])
def test_a_schema_that_is_not_migrated_exits_7(
    delta: CommandLine, empty_dsn: str, words: tuple[str, ...]
) -> None:
    done = delta(*words, environ={"DELTA_DSN": empty_dsn}).expect(7)
    assert "is not migrated" in done.err
    assert "hint: run: delta migrate" in done.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("bogus",), "No such command 'bogus'"),
        (("lst",), "Did you mean 'list'"),
        (("list", "--bogus"), "--bogus"),
        (("list", "--state", "lost"), "lost"),
        (("list", "--limit", "-1"), "--limit must be at least 0, got -1"),
        (("list", "--limit", "many"), "--limit must be a whole number, got 'many'"),
        (("get", "item"), "ID"),
        (("list", "-o", "yaml"), "yaml"),
        (("retry", "item"), "no resource is named"),
        (("retry", "item", "a", "--all"), "not both"),
        (("retry", "item", "a", "--state", "failed"), "--all"),
        (("invalidate", "item", "--all", "--state", "failed"), "invalidate is refused"),
        (("subscribe", "--category", "object_bogus"), "object_bogus"),
        (("subscribe", "--since", "yesterday"), "yesterday"),
        (("subscribe", "--output", "json"), "jsonl"),
        (("run",), "no application is named"),
        (("run", "--concurrency", "0", "--app", "x"), "--concurrency"),
        (("migrate", "--check", "--dry-run"), "one of"),
        (("inform", "item", "--label", "x"), "name=value"),
        (("inform", "item", "--after", "soon"), "soon"),
        (("inform", "item", "--after", "1h", "--all"), "exclude"),
        (("inform", "item", "--limit", "0"), "--limit must be at least 1, got 0"),
        (("inform", "item", "--timeout", "1s"), "--timeout belongs to --wait"),
        (("inform", "item", "--foreground", "--wait"), "exclude each other"),
        (("inform", "FREE kind"), "kind 'FREE kind' is not valid"),
        (("run", "--namespace", "Bad NS"), "namespace 'Bad NS' is not valid"),
        (("run", "--concurrency", "0"), "hint: choose one of these"),
        (("run", "--metrics-port", "99999"), "--metrics-port must be at most 65535, got 99999"),
        (("namespaces", "set", "eu", "--max-workers", "0"), "--max-workers must be"),
        (("namespaces", "set", "Bad NS", "--max-workers", "1"), "namespace 'Bad NS'"),
        (("dash", "--interval", "x"), "--interval must be a number, got 'x'"),
        (("get", "item", "-dash"), "comes after --"),
        (("inform", "item", "--after", "5x"), "hint: write it as 5m"),
        (("subscribe", "--since", "5x"), "hint: write it as 5m"),
        (("subscribe", "--since", "99999999d"), "--since '99999999d' is before"),
        (("pause", "kind", "item", "--for", "99999999d"), "--for must be at most 3650 days"),
        (("inform", "item", "--tag", "vip"), "--tag"),
        (("inform", "item", "--object", "{}", "--foreground"), "--foreground"),
        (("--dsn", "postgresql://[", "status"), "--dsn"),
        (("--dsn", "nonsense", "status"), "--dsn"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_usage_exits_2_and_names_what_is_wrong(
    here: Here, dsn: str, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], told: str
) -> None:
    monkeypatch.setenv("DELTA_DSN", dsn)
    done = here(*words).expect(2)
    assert done.err.startswith(("error: ", '{"error": '))
    assert told in done.err
    assert done.out == ""
    assert "Traceback" not in done.err


def test_words_that_are_not_utf_8_are_refused(delta: CommandLine) -> None:
    done = delta("get", "item", os.fsdecode(b"\xff")).expect(2)
    assert "word 3 of the command line is not UTF-8" in done.err


def test_a_resource_that_is_not_there_exits_5(delta: CommandLine, inform: Inform) -> None:
    inform("a")
    done = delta("get", "item", "nobody").expect(5)
    assert "item/nobody" in done.err


def test_an_id_in_an_error_cannot_pass_for_a_hint_or_drive_the_terminal(
    delta: CommandLine, inform: Inform
) -> None:
    inform("a")
    done = delta("get", "item", "x\nhint: run: rm -rf /\x1b[31m").expect(5)
    lines = done.err.splitlines()
    assert lines[0].startswith("error: there is no resource item/x")
    assert not any(line.startswith("hint: run: rm") for line in lines)
    assert "\x1b" not in done.err


@contextlib.contextmanager
def role_with(dsn: str, *grants: str) -> Generator[dict[str, str]]:
    """The environment of a role that may do so much and no more."""
    name = f"role_{os.getpid()}"
    role = sql.Identifier(name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("create role {} login").format(role))
        for grant in grants:
            text = sql.SQL(grant)  # pyright: ignore[reportArgumentType] - a test's own words
            connection.execute(sql.SQL("grant {} to {}").format(text, role))
        try:
            yield {"DELTA_DSN": make_conninfo(dsn, user=name)}
        finally:
            connection.execute(sql.SQL("drop owned by {}").format(role))
            connection.execute(sql.SQL("drop role {}").format(role))


@pytest.mark.parametrize("words", [("status",), ("list",), ("migrate", "status")], ids=" ".join)
def test_a_role_without_rights_is_told_so(
    delta: CommandLine, dsn: str, words: tuple[str, ...]
) -> None:
    with role_with(dsn) as guest:
        done = delta(*words, environ=guest).expect(1)
    assert "lacks" in done.err
    assert "hint: " in done.err


def test_a_role_that_may_only_read_is_told_so(delta: CommandLine, dsn: str, inform: Inform) -> None:
    inform("a")
    grants = ("usage on schema delta", "select on all tables in schema delta")
    with role_with(dsn, *grants) as reader:
        delta("list", environ=reader).expect(0)
        done = delta("delete", "item", "a", "--yes", environ=reader).expect(1)
    assert "permission denied for table delta_resource" in done.err
    assert "hint: grant" in done.err
