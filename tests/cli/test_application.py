"""What may happen while an application is imported, and the schema that it names."""

import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Here
from tests.support.command_line import CommandLine, Done, ended
from tests.support.embedded import until

#: Its import goes on until a signal comes.
SLOW = """
import signal
from pathlib import Path

Path("importing").touch()
while True:
    signal.pause()
"""


#: Its application has a schema of its own.
OWN_SCHEMA = """
from dataclasses import dataclass
from typing import ClassVar

from delta_cli import Config, Controller


@dataclass
class Item:
    id: str
    kind: ClassVar[str] = "item"


class ItemController(Controller[Item]):
    async def work(self, resource):
        pass


config = Config(controllers=[ItemController()], schema="shop_own")
"""
#: Its application is made when it is asked for.
LAZY = """
from delta_cli import Config

def __getattr__(name):
    return Config(max_attempts=0)
"""
INFORM = ("inform", "item", "--object", '{"id": "a"}')


def ids(done: Done) -> list[str]:
    return [row["object_id"] for row in done.expect(0).json()]


@pytest.fixture
def own_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_schema.py").write_text(OWN_SCHEMA)
    monkeypatch.setenv("DELTA_APP", f"{tmp_path / 'own_schema.py'}:config")


@pytest.mark.usefixtures("own_schema")
def test_an_applications_own_schema_is_migrated_by_the_command_that_the_hint_names(
    quick: Here,
) -> None:
    hint = quick(*INFORM).expect(7).err.splitlines()[-1]
    assert hint == "hint: run: delta migrate --schema shop_own"
    quick(*hint.removeprefix("hint: run: delta ").split()).expect(0)
    done = quick(*INFORM).expect(0)
    assert "note: the application's schema is 'shop_own'" in done.err
    assert ids(quick("list", "-o", "json")) == []
    assert ids(quick("list", "-o", "json", "--schema", "shop_own")) == ["a"]


@pytest.mark.usefixtures("own_schema")
def test_of_several_processes_one_says_that_the_application_has_its_own_schema(
    quick: Here, delta: CommandLine
) -> None:
    quick("migrate", "--schema", "shop_own").expect(0)
    app = f"{delta.folder / 'own_schema.py'}:config"
    told = delta("run", "--app", app, "--drain", "--processes", "2").expect(0).err
    assert told.count("note: the application's schema is 'shop_own'") == 1


@pytest.mark.usefixtures("own_schema")
def test_the_schema_that_is_asked_for_holds_whether_a_command_loads_the_application_or_not(
    quick: Here,
) -> None:
    asked = {"DELTA_SCHEMA": "asked"}
    quick("migrate", environ=asked).expect(0)
    assert "note: the application's schema" not in quick(*INFORM, environ=asked).expect(0).err
    assert ids(quick("list", "-o", "json", environ=asked)) == ["a"]


def test_a_check_of_the_schema_that_is_asked_for_names_the_command_that_migrates_it(
    quick: Here,
) -> None:
    done = quick("migrate", "--check", "--schema", "other").expect(7)
    assert "run: delta migrate --schema other\n" in done.err


@pytest.mark.parametrize("more", [(), ("--processes", "2")], ids=["one", "several"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_the_application_is_imported_ends_the_process_as_asked(
    delta: CommandLine, more: tuple[str, ...], number: signal.Signals, code: int
) -> None:
    (delta.folder / "slow.py").write_text(SLOW)
    with delta.started("run", "--app", "slow:config", *more) as process:
        until((delta.folder / "importing").exists)
        process.send_signal(number)
        done = ended(process).expect(code)
    assert "does not import" not in done.err


def test_an_application_that_is_made_when_asked_for_and_refused_is_told_with_its_place(
    quick: Here, tmp_path: Path
) -> None:
    (tmp_path / "lazy.py").write_text(LAZY)
    told = quick("inform", "item", "--app", f"{tmp_path / 'lazy.py'}:config").expect(2).err
    assert "max_attempts must be" in told
    assert f"at {tmp_path / 'lazy.py'}, line 5" in told


def test_an_application_that_ends_the_process_itself_does_not_import(delta: CommandLine) -> None:
    (delta.folder / "ends.py").write_text("import sys\n\nsys.exit(143)\n")
    done = delta("run", "--app", "ends:config").expect(2)
    assert "does not import: SystemExit: 143" in done.err
