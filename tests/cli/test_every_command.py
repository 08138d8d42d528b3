"""Every command of the catalogue as a process: in a pipe, on a terminal, without its database.

They share one database, in which nothing runs; what a command changes is harmless to the others.
"""

import asyncio
import json
import os
import re
import signal
import socket
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from delta_cli.cli.catalogue import CATALOGUE
from tests.cli.conftest import Here, _inform
from tests.support.command_line import APPS, DEADLINE_S, CommandLine, Done, ended
from tests.support.databases import Databases

CODE = re.compile(r"\x1b\[[?\d;]*[A-Za-z]")
TOLD = re.compile(r"(?:note|warning|error|hint): |  ")
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3|4|9)\d")

#: They end their process, or are more than one.
NEEDS_ITS_PROCESS = ("run", "dash", "demo")


@dataclass(frozen=True)
class Case:
    """How to call a command. Its exit status as it is, without a server, and with an old schema."""

    words: Sequence[str]
    code: int = 0
    without_server: int = 3
    with_old_schema: int = 7
    prints_json: bool = True


def local(*words: str, prints_json: bool = True) -> Case:
    """A command that needs no database."""
    return Case(words, 0, 0, 0, prints_json)


CASES = {
    "run": Case(("run", "--drain", "--log-level", "error"), prints_json=False),
    "inform": Case(("inform", "item", "--object", '{"id": "a"}')),
    "status": Case(("status",)),
    "list": Case(("list",)),
    "get": Case(("get", "item", "a", "--events", "0")),
    "subscribe": Case(("subscribe", "--since", "0", "--no-follow")),
    "workers": Case(("workers", "--all")),
    "controllers": Case(("controllers",)),
    "informs": Case(("informs",)),
    "dash": Case(("dash", "--once")),
    "invalidate": Case(("invalidate", "item", "a", "--dry-run")),
    "retry": Case(("retry", "item", "--all", "--dry-run")),
    "delete": Case(("delete", "item", "a", "--dry-run")),
    "cancel": Case(("cancel", "item", "a"), code=6, prints_json=False),
    "tick": Case(("tick",)),
    "pause": Case(("pause", "kind", "item", "--for", "1h", "--reason", "a test")),
    "resume": Case(("resume", "namespace", "default"), code=5, prints_json=False),
    "namespaces": Case(("namespaces",)),
    "init": local("init", prints_json=False),
    "demo": Case(("demo", "--source", "from", "--target", "to"), with_old_schema=0),
    "migrate": Case(("migrate", "--check"), prints_json=False),
    "config": local("config"),
    "doctor": Case(("doctor",), without_server=1, with_old_schema=1),
    "db": local("db", "path", prints_json=False),
    "help": local("help", "formats", prints_json=False),
    "version": local("version"),
}


@pytest.fixture(scope="module")
def shared_dsn(databases: Databases, template: str) -> Generator[str]:
    dsn = databases.create(template=template)
    asyncio.run(_inform(dsn, [{"id": one, "name": "good"} for one in ("a", "b" * 60)]))
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def old_dsn(databases: Databases, template: str) -> Generator[str]:
    """A database to which the newest migration has not been applied."""
    dsn = databases.create(template=template)
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "delete from delta.delta_migration "
            "where version = (select max(version) from delta.delta_migration)"
        )
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def delta(shared_dsn: str, tmp_path: Path) -> CommandLine:
    """`delta` on the shared database, with an application, in a folder with one to mirror."""
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "file").write_text("content")
    app = {"DELTA_APP": f"{APPS / 'shop.py'}:config", "SHOP_FOLDER": str(tmp_path)}
    return CommandLine(tmp_path, {"DELTA_DSN": shared_dsn, **app})


@pytest.fixture
def at(delta: CommandLine, here: Here) -> Callable[[str, str], Done]:
    """A command as it is at another database: in this process, which is quicker, if that can be."""

    def run(name: str, dsn: str) -> Done:
        given = {**delta.environ, "DELTA_DSN": dsn}
        environ = {name: value for name, value in given.items() if value is not None}
        program = delta if name in NEEDS_ITS_PROCESS else here
        return program(*CASES[name].words, environ=environ)

    return run


def test_no_command_is_forgotten(here: Here) -> None:
    assert CASES.keys() == CATALOGUE.keys()
    for name, case in CASES.items():
        if case.prints_json:
            assert "--output" in here(name, "--help").out


def codes(name: str) -> set[int]:
    """How a command may end; what the others left behind may be a problem to the doctor."""
    return {0, 1} if name == "doctor" else {CASES[name].code}


@pytest.mark.parametrize("name", CASES)
def test_a_pipe_gets_data_alone_and_no_colour(delta: CommandLine, name: str) -> None:
    case = CASES[name]
    form = ("-o", "json") if case.prints_json else ()
    done = delta(*case.words, *form)
    assert done.code in codes(name)
    assert "\x1b" not in done.out + done.err
    assert "Traceback" not in done.err
    if case.prints_json:
        json.loads(done.out)
    if case.code:
        assert done.out == ""
        assert done.err.startswith("error: ")
        assert "\nhint: " in done.err


@pytest.mark.parametrize("name", CASES)
def test_a_narrow_terminal_without_colours_is_enough(delta: CommandLine, name: str) -> None:
    case = CASES[name]
    code, shown = delta.on_terminal(*case.words, environ={"NO_COLOR": "1"}, columns=40)
    assert code in codes(name)
    assert "Traceback" not in shown
    assert not COLOUR.search(shown)
    # The dashboard draws for no less than 80, and events come one by one, each a line.
    if case.prints_json and name not in ("dash", "subscribe"):
        assert max(map(len, data_of(shown))) <= 40


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.prints_json])
def test_a_table_takes_no_more_than_a_wide_terminal_has(delta: CommandLine, name: str) -> None:
    code, shown = delta.on_terminal(*CASES[name].words, columns=200)
    assert code in codes(name)
    assert max(map(len, data_of(shown))) <= 200


def data_of(shown: str) -> list[str]:
    """What a terminal shows without what is told beside the data, and without bars."""
    lines = [line.rpartition("\r")[2] for line in CODE.sub("", shown).splitlines()]
    return [line for line in lines if not TOLD.match(line) and "━" not in line] or [""]


@pytest.mark.parametrize("name", CASES)
def test_a_server_that_is_not_there_is_told(at: Callable[[str, str], Done], name: str) -> None:
    done = at(name, "postgresql://user:hunter2@127.0.0.1:1/nothing?connect_timeout=2")
    done.expect(CASES[name].without_server)
    assert "hunter2" not in done.out + done.err
    assert "Traceback" not in done.err
    if CASES[name].without_server == 3:
        assert "error: " in done.err
        assert "hint: " in done.err


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.with_old_schema])
def test_an_old_schema_is_told(at: Callable[[str, str], Done], old_dsn: str, name: str) -> None:
    done = at(name, old_dsn).expect(CASES[name].with_old_schema)
    assert "delta migrate" in done.err + done.out


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.prints_json])
def test_a_pipe_that_nobody_reads_is_quiet(delta: CommandLine, name: str) -> None:
    case = CASES[name]
    read_end, write_end = os.pipe()
    os.close(read_end)
    with delta.started(*case.words, stdout=write_end) as process:
        os.close(write_end)
        _, told = process.communicate(timeout=60)
    assert process.returncode in (0, case.code)
    assert "Broken" not in told
    assert "Traceback" not in told


# tests/cli/test_run.py has what a worker does, which finishes what it has begun.
@pytest.mark.parametrize(
    ("words", "ready"),
    [
        (("subscribe",), "category"),
        (("status", "--watch"), "Ctrl-C"),
        (("delete", "item", "--all"), "[y/N]"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_ctrl_c_ends_what_runs_on(delta: CommandLine, words: tuple[str, ...], ready: str) -> None:
    with delta.terminal(*words) as terminal:
        terminal.until(ready)
        terminal.type("\x03")
        ended, shown = terminal.end()
    assert ended == 130
    assert "Traceback" not in shown


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.without_server])
def test_ctrl_c_ends_what_waits_for_a_server_that_says_nothing(
    delta: CommandLine, name: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dsn = f"postgresql://user@127.0.0.1:{silent.getsockname()[1]}/nothing"
        with delta.started(*CASES[name].words, environ={"DELTA_DSN": dsn}) as process:
            silent.settimeout(DEADLINE_S)
            with silent.accept()[0]:
                process.send_signal(signal.SIGINT)
                done = ended(process).expect(130)
    assert "Traceback" not in done.err
    assert done.out == ""


# tests/cli/test_safety.py has all of them.
@pytest.mark.parametrize("name", ["run", "pause", "delete"])
def test_a_read_only_profile_refuses_what_would_change_something(
    delta: CommandLine, shared_dsn: str, name: str
) -> None:
    text = f'[profiles.night]\ndsn = "{shared_dsn}"\nread_only = true\n'
    (delta.folder / "delta.toml").write_text(text)
    words = [word for word in CASES[name].words if word != "--dry-run"]
    done = delta("--profile", "night", *words).expect(6)
    assert (done.out, "'night' is read only" in done.err) == ("", True)
