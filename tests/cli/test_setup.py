"""Migrations, the embedded server, settings, and the application."""

import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from delta_cli.engine.embedded import EmbeddedServer
from tests.cli.conftest import Here
from tests.support.command_line import CommandLine, ended
from tests.support.embedded import embedded_place

# Migrations


def test_migrations_are_looked_at_applied_and_shown(delta: CommandLine, empty_dsn: str) -> None:
    delta.environ["DELTA_DSN"] = empty_dsn
    behind = delta("migrate", "--check").expect(7)
    assert "001_" in behind.err
    assert behind.out == ""
    dry = delta("migrate", "--dry-run").expect(0)
    assert "create table delta_resource" in dry.out
    pending = delta("migrate", "status", "-o", "json").expect(0).json()
    assert {one["state"] for one in pending} == {"pending"}
    applied = delta("migrate", "-o", "json").expect(0).json()
    assert [one["version"] for one in applied] == [one["version"] for one in pending]
    again = delta("migrate", "-o", "json").expect(0)
    assert (again.json(), "up to date" in again.err) == ([], True)
    delta("migrate", "--check").expect(0)
    status = delta("migrate", "status", "-o", "json").expect(0).json()
    assert {one["state"] for one in status} == {"applied"}


def test_several_schemas_live_side_by_side(delta: CommandLine) -> None:
    delta("migrate", "--schema", "other").expect(0)
    delta("inform", "item", "--object", '{"id": "a"}', "--schema", "other").expect(0)
    assert delta("list", "-o", "json").json() == []
    other = delta("list", "-o", "json", environ={"DELTA_SCHEMA": "other"}).expect(0)
    assert len(other.json()) == 1


# Settings


@pytest.mark.parametrize(
    ("file", "text"),
    [("delta.toml", "dsn = '{dsn}'"), ("pyproject.toml", "[tool.delta]\ndsn = '{dsn}'")],
)
def test_the_database_comes_from_the_file_and_flags_beat_it(
    here: Here, dsn: str, tmp_path: Path, file: str, text: str
) -> None:
    (tmp_path / file).write_text(text.format(dsn=dsn))
    here("status").expect(0)
    here("status", "--dsn", "postgresql://u:hunter2@127.0.0.1:1/x").expect(3)


@pytest.mark.parametrize(
    ("text", "told"),
    [("dsn = ", "cannot be read"), ("dns = 'x'", "unknown setting 'dns'"), ("dsn = 5", "string")],
)
def test_a_broken_file_is_told(here: Here, tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "delta.toml").write_text(text)
    done = here("status").expect(2)
    assert told in done.err
    assert "delta.toml" in done.err


def test_the_environment_beats_the_file(
    here: Here, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "delta.toml").write_text("dsn = 'postgresql://127.0.0.1:1/x'")
    monkeypatch.setenv("DATABASE_URL", dsn)
    here("status").expect(0)


# The application

APPLICATIONS = {
    "good": "from delta_cli import Config\nconfig = Config()\nother = Config()\n",
    "broken": "import json\n\n\ndef boom():\n    return {}['key']\n\nboom()\n",
    "syntax": "x = 1\nif x\n",
    "missing": "import no_such_module_at_all\n",
    "wrong": "config = 5\n",
    "refused": "from datetime import timedelta\nfrom delta_cli import Config\n\n"
    "config = Config(poll_interval=timedelta(seconds=-1))\n",
    "leaves": "import sys\nsys.exit(3)\n",
    "makes": "from datetime import timedelta\nfrom delta_cli import Config\n\n"
    "def refused():\n    return Config(poll_interval=timedelta(seconds=-1))\n\n"
    "def broken():\n    return {}['key']\n\n"
    "def leaves():\n    raise SystemExit(3)\n",
}


@pytest.fixture
def applications(tmp_path: Path) -> Path:
    for name, text in APPLICATIONS.items():
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("app", "told"),
    [
        ("nowhere", "there is no module 'nowhere'"),
        ("good:nothing", "good has no 'nothing'"),
        ("good:", "incomplete"),
        ("broken", "KeyError: 'key'"),
        ("broken:config", "broken.py, line 5"),
        ("broken.py", "broken.py, line 5"),
        ("syntax", "syntax.py, line 2"),
        ("missing", "No module named 'no_such_module_at_all'"),
        ("missing", "missing.py, line 1"),
        ("wrong", "is int, not a Config"),
        (
            "refused",
            "error: application 'refused': poll_interval must be longer than zero, got -1 s",
        ),
        ("refused", "refused.py, line 4"),
        ("leaves", "SystemExit: 3"),
        (
            "makes:refused",
            "error: application 'makes:refused': poll_interval must be longer than zero, got -1 s",
        ),
        ("makes:refused", "makes.py, line 5"),
        ("makes:broken", "makes.py, line 8"),
        ("makes:leaves", "makes.py, line 11"),
        ("./absent.py", "there is no file absent.py"),
        ("delta_cli.examples.mirror", "MIRROR_SOURCE is not set"),
    ],
)
@pytest.mark.usefixtures("applications")
def test_an_application_that_is_not_right_is_told_with_its_line(
    nowhere: CommandLine, app: str, told: str
) -> None:
    done = nowhere("run", "--app", app).expect(2)
    assert told in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("app", ["good", "good:config", "good:other", "good.py", "./good.py:other"])
@pytest.mark.usefixtures("applications")
def test_an_application_is_found(nowhere: CommandLine, app: str) -> None:
    # What comes next is the database, which is not there.
    nowhere("run", "--app", app).expect(3)


# The embedded server


@pytest.fixture
def embedded(tmp_path: Path) -> Generator[CommandLine]:
    """`delta` with no database configured, and a data folder of its own."""
    with embedded_place() as place:
        yield CommandLine(tmp_path, {"DELTA_DATA_DIR": str(place), "DELTA_DSN": None})


def server_of(embedded: CommandLine) -> EmbeddedServer:
    folder = Path(str(embedded.environ["DELTA_DATA_DIR"]))
    return EmbeddedServer(next(folder.glob("postgres-*")))


def test_without_a_database_the_embedded_one_is_used_and_left(embedded: CommandLine) -> None:
    done = embedded("inform", "item", "--object", '{"id": "a"}', "-o", "json").expect(0)
    assert done.json()["created"] == 1
    assert done.err.count("embedded Postgres") == 1
    assert str(embedded.environ["DELTA_DATA_DIR"]) in done.err
    assert "--dsn" in done.err
    assert not server_of(embedded).status().running
    with embedded.started("subscribe", "--since", "0", "-o", "jsonl") as process:
        assert process.stderr is not None
        process.stderr.readline()
        assert embedded("list", "-o", "jsonl").expect(0).out.count("\n") == 1
        assert server_of(embedded).status().running
        process.send_signal(signal.SIGTERM)
        ended(process).expect(143)
    assert not server_of(embedded).status().running


def test_a_read_only_dashboard_migrates_no_embedded_database(embedded: CommandLine) -> None:
    done = embedded("dash", "--once", "--read-only").expect(7)
    assert "is not migrated yet" in done.err
    assert "hint: run: delta migrate" in done.err
    embedded("migrate").expect(0)
    embedded("dash", "--once", "--read-only").expect(0)


def test_the_embedded_server_is_started_shown_and_stopped(embedded: CommandLine) -> None:
    started = embedded("db", "start", "-o", "json").expect(0).json()
    assert (started["running"], started["kept"]) == (True, True)
    assert embedded("db", "path").expect(0).out.strip() == started["folder"]
    asked = embedded("db", "psql", "--", "-Atc", "select 40 + 2").expect(0)
    assert asked.out == "42\n"
    embedded("db", "psql", "--", "-v", "ON_ERROR_STOP=1", "-c", "select 1/0").expect(1)
    assert embedded("db", "status", "-o", "json").expect(0).json()["running"]
    embedded("db", "reset", stdin="y\n").expect(2)
    embedded("db", "stop").expect(0)
    assert not embedded("db", "status", "-o", "json").expect(0).json()["running"]
    embedded("db", "reset", "--yes").expect(0)
    assert not (Path(started["folder"]) / "data").exists()


def test_the_embedded_server_is_not_stopped_under_others(embedded: CommandLine) -> None:
    embedded("db", "start").expect(0)
    server = server_of(embedded)
    server.join()
    try:
        for how in ((), ("--dry-run",)):
            assert "in use" in embedded("db", "stop", *how).expect(6).err
            assert "in use" in embedded("db", "reset", "--yes", *how).expect(6).err
        forced = embedded("db", "stop", "--force").expect(0)
        assert "other processes use it, of which each that looks for it again starts" in forced.err
    finally:
        server.leave()
    assert "other processes" not in embedded("db", "stop", "--force").expect(0).err


def test_looking_at_a_schema_that_is_not_there_does_not_make_it(embedded: CommandLine) -> None:
    embedded("db", "start").expect(0)
    embedded("status").expect(0)
    for words in (("status",), ("list",), ("subscribe", "--no-follow")):
        done = embedded(*words, "--schema", "nope").expect(7)
        assert "hint: run: delta migrate --schema nope" in done.err
        assert done.err.count("embedded Postgres") == 1
    asked = ("db", "psql", "--", "-Atc", "select count(*) from pg_namespace where nspname = 'nope'")
    assert embedded(*asked).expect(0).out == "0\n"
    embedded("inform", "item", "--object", '{"id": "a"}', "--schema", "nope").expect(0)
    assert "item" in embedded("list", "--schema", "nope").expect(0).out
    embedded("db", "stop").expect(0)
