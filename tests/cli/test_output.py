"""The formats, and what goes to stdout and what to stderr."""

import csv
import io
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from tests.cli.conftest import Here, Inform
from tests.support.command_line import CommandLine, ended

RESOURCE = [
    *("id", "namespace", "kind", "object_id", "state", "generation", "synced_generation", "term"),
    *("attempt", "max_attempts", "sync_count", "priority", "due_at", "lease_until", "worker_id"),
    *("created_at", "updated_at", "attempted_at", "synced_at", "external_created_at", "object"),
    *("hash", "last_synced_object", "metadata", "tags", "errors"),
]


def test_a_list_as_json_is_an_array_of_objects_named_like_the_columns(
    quick: Here, inform: Inform
) -> None:
    inform("a", "b")
    done = quick("list", "-o", "json").expect(0)
    first, second = done.json()
    assert list(first) == RESOURCE
    assert (first["object_id"], second["object_id"]) == ("a", "b")
    assert first["synced_at"] is None
    assert datetime.fromisoformat(first["created_at"]).utcoffset() is not None
    assert first["created_at"].endswith("Z")
    assert len(bytes.fromhex(first["hash"])) == 32
    assert done.err == ""


def test_json_lines_have_one_object_a_line(quick: Here, inform: Inform) -> None:
    inform("a", "b")
    assert [row["object_id"] for row in quick("list", "-o", "jsonl").expect(0).lines()] == [
        *("a", "b")
    ]


def test_csv_has_a_header_and_all_columns(quick: Here, inform: Inform) -> None:
    inform('comma, and "quote"')
    (row,) = csv.DictReader(io.StringIO(quick("list", "-o", "csv").expect(0).out))
    assert list(row) == RESOURCE
    assert row["object_id"] == 'comma, and "quote"'


def test_an_empty_list_is_empty_in_every_format(quick: Here) -> None:
    assert quick("list", "-o", "json").expect(0).json() == []
    assert quick("list", "-o", "jsonl").expect(0).out == ""
    assert quick("list", "-o", "csv").expect(0).out.splitlines() == [",".join(RESOURCE)]


def test_get_as_json_is_one_object_with_its_drift(delta: CommandLine, shop: CommandLine) -> None:
    shop("inform", "item", "--object", '{"id": "a", "price": 1}').expect(0)
    shop("run", "--drain").expect(0)
    shop("inform", "item", "--object", '{"id": "a", "price": 2}').expect(0)
    row = delta("get", "item", "a", "-o", "json").expect(0).json()
    assert list(row) == [*RESOURCE, "changes", "timeline"]
    assert row["changes"] == [{"path": "price", "old": 1, "new": 2}]
    table = delta("get", "item", "a").expect(0).out
    assert "Drift" in table
    assert "price" in table


def test_status_as_json_is_one_object(quick: Here, inform: Inform) -> None:
    inform("a", "b")
    status = quick("status", "-o", "json").expect(0).json()
    assert list(status) == [
        *("at", "schema", "states", "due", "kinds", "workers", "pauses", "workers_lost"),
    ]
    assert status["states"]["unknown"] == 2
    assert status["kinds"] == [
        {
            "kind": "item",
            "namespace": "default",
            "states": {"unknown": 2},
            "due": 0,
            "oldest_due_at": None,
            "paused": False,
        }
    ]


def test_the_version_is_one_object_and_needs_no_database(nowhere: CommandLine) -> None:
    version = nowhere("version", "-o", "json").expect(0).json()
    assert list(version) == ["delta", "python", "psycopg", "libpq", "textual", "output_shape"]
    assert nowhere("--version").expect(0).out == f"delta {version['delta']}\n"


def test_ids_that_look_like_numbers_are_not_rewritten(quick: Here, inform: Inform) -> None:
    inform("1e5", "007")
    table = quick("list").expect(0).out
    assert "1e5" in table
    assert "007" in table


HOSTILE = "\x1b]0;owned\x07\x1b[31m\u202e[bold]x[/bold]"


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv", "markdown"])
@pytest.mark.parametrize("words", [("list",), ("get", "item", HOSTILE)])
def test_hostile_text_reaches_no_terminal(
    here: Here, dsn: str, inform: Inform, words: tuple[str, ...], form: str
) -> None:
    inform(HOSTILE)
    out = here("--dsn", dsn, *words, "-o", form).expect(0).out
    assert all(character.isprintable() or character == "\n" for character in out)
    assert "owned" in out


def test_json_keeps_hostile_text_as_it_is(quick: Here, inform: Inform) -> None:
    inform(HOSTILE)
    assert quick("list", "-o", "json").json()[0]["object_id"] == HOSTILE


def test_a_page_tells_where_the_next_begins(delta: CommandLine, inform: Inform) -> None:
    inform("a", "b", "c")
    first = delta("list", "--limit", "2", "-o", "json").expect(0)
    assert [row["object_id"] for row in first.json()] == ["a", "b"]
    after = str(first.json()[-1]["id"])
    assert f"--after {after}" in first.err
    second = delta("list", "--limit", "2", "--after", after, "-o", "json").expect(0)
    assert [row["object_id"] for row in second.json()] == ["c"]
    assert second.err == ""


def test_lists_are_filtered(quick: Here, inform: Inform) -> None:
    inform("a")
    quick("inform", "item", "--object", '{"id": "b"}', "-n", "eu", "--tag", "vip").expect(0)

    def listed(*words: str) -> list[str]:
        return [row["object_id"] for row in quick("list", *words, "-o", "json").expect(0).json()]

    assert listed("item", "--namespace", "eu") == ["b"]
    assert listed("--tag", "vip") == ["b"]
    assert listed("--state", "unknown") == ["a", "b"]
    assert listed("--state", "synced") == []
    quick("list", "other").expect(5)


def test_whoever_closes_the_pipe_hears_nothing(delta: CommandLine, inform: Inform) -> None:
    inform(*(f"item-{number}" for number in range(2_000)))
    with delta.started("list", "--limit", "0", "-o", "jsonl") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("{")
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(30) == 0


@pytest.mark.parametrize("words", [("--help",), ("list", "--help"), ("--version",), ("version",)])
def test_whoever_closes_the_pipe_of_help_hears_nothing(
    nowhere: CommandLine, words: tuple[str, ...]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with nowhere.started(*words, stdout=writing) as process:
        os.close(writing)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")


def test_stdout_that_is_full_is_an_error(delta: CommandLine, inform: Inform) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    inform("a")
    with full.open("w") as nowhere, delta.started("list", stdout=nowhere) as process:
        done = ended(process)
    done.expect(1)
    assert "No space left" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "words", [("version",), ("--version",), ("--help",), ("help", "formats"), ("config",)]
)
def test_a_disk_that_is_full_is_one_clear_error(
    nowhere: CommandLine, words: tuple[str, ...]
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with full.open("w") as disk, nowhere.started(*words, stdout=disk) as process:
        done = ended(process).expect(1)
    assert done.err.splitlines() == [
        "error: cannot write the output: No space left on device",
        "hint: make room there, or write it somewhere else",
    ]


def test_streams_that_are_closed_are_told(delta: CommandLine) -> None:
    def closed(words: str) -> tuple[int, str]:
        line = f"{sys.executable} -m delta_cli.cli.app {words}"
        environ = {**os.environ, **delta.environ}
        done = subprocess.run(
            ["/bin/sh", "-c", line], env=environ, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr.splitlines()[0] if done.stderr else ""

    assert closed("list >&-") == (1, "error: cannot write the output: stdout is closed")
    assert closed("--help >&-") == (1, "error: cannot write the output: stdout is closed")
    assert closed("inform item --file - <&-") == (2, "error: stdin is closed")
    assert closed("list --limit x 2>&-") == (2, "")


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("run", "--help")])
def test_help_and_version_load_nothing_heavy(words: tuple[str, ...]) -> None:
    program = f"""
import sys
from delta_cli.cli.app import run_words
run_words({words!r})
print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    heavy = {"psycopg", "psycopg_pool", "tabulate", "textual", "delta_cli.engine.client"}
    assert heavy.isdisjoint(done.stderr.split())


def test_every_command_has_help_with_an_example() -> None:
    program = """
from typer.main import get_command
from delta_cli.cli.app import app
def walk(group, path):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            walk(command, [*path, name])
        else:
            first = (command.help or "").splitlines()[0]
            example = "delta " + " ".join([*path, name])
            print(" ".join([*path, name]), first.endswith("."), example in (command.epilog or ""))
walk(get_command(app), [])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    lines = [line.rsplit(maxsplit=2) for line in done.stdout.splitlines()]
    assert len(lines) > 12
    assert [line[0] for line in lines if line[1:] != ["True", "True"]] == []
