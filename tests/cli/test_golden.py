"""What commands print of one small database, byte by byte, as the files in `golden/` have it.

`GOLDEN=write` writes the files anew; look at the difference before you commit it.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from delta_cli.cli import shapes
from delta_cli.cli.output import SHAPE_VERSION, Format
from tests.cli.conftest import Here
from tests.cli.leaves import LEAVES

FOLDER = Path(__file__).parent / "golden"
SUFFIX = {"json": "json", "jsonl": "jsonl", "csv": "csv", "markdown": "md", "table": "txt"}
COMMANDS = {
    "get": ("get", "item", "日本"),
    "list": ("list",),
    "status": ("status",),
    "workers": ("workers",),
    "tick": ("tick",),
    "tick --runs": ("tick", "--runs"),
    "controllers": ("controllers",),
    "namespaces": ("namespaces",),
    "informs": ("informs",),
    "pause": ("pause",),
    "subscribe": ("subscribe", "--since", "0", "--no-follow"),
    "retry": ("retry", "item", "日本", "nobody", "--dry-run"),
    "invalidate": ("invalidate", "item", "--all", "--dry-run"),
    "delete": ("delete", "user", "--all", "--dry-run"),
    "cancel": ("cancel", "item", "busy", "--dry-run"),
    "tick NAME": ("tick", "clean", "--dry-run"),
    "pause WHAT NAME": (
        *("pause", "kind", "item", "--for", "1h", "--reason", "a test"),
        *("--actor", "ann", "--dry-run"),
    ),
    "resume": ("resume", "kind", "user", "--dry-run"),
    "namespaces set": ("namespaces", "set", "eu", "--max-workers", "9", "--dry-run"),
    "inform KIND --file": ("inform", "item", "--object", '{"id": "new"}', "--dry-run"),
    "config": ("config", "--dsn", "postgresql://user:hunter2@db/shop", "--app", "app:config"),
}
#: Those with values of the machine, a sequence or a clock's speed: their shapes alone are tested.
UNPINNED = {
    "inform KIND": ("inform", "item", "--label", "shop=main", "--dry-run"),
    "version": ("version",),
    "migrate": ("migrate", "--schema", "another"),
    "migrate --dry-run": ("migrate", "--dry-run", "--schema", "fresh"),
    "migrate status": ("migrate", "status"),
    "doctor": ("doctor",),
    "dash --once": ("dash", "--once"),
    "db start": ("db", "start", "--dry-run"),
    "db status": ("db", "status"),
    "demo": ("demo", "--source", ".", "--target", "../mirror", "--dry-run"),
}
#: How long ago the workers' heartbeats of January 2026 are.
AGE = re.compile(r"\b\d{7,}(?:\.\d+)?\b( *)")
#: Any time but those of January 2026, which are of the database.
NOW = re.compile(r"\b20(?!26-01-)\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z")
TYPES: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "number": (int, float),
    "string": (str,),
    "bool": (bool,),
    "time": (str,),
}


@pytest.fixture(scope="module")
def golden_dsn(databases: Any, template: str) -> Any:
    dsn = databases.create(template=template)
    with psycopg.connect(dsn) as connection:
        connection.execute(Path(__file__).with_name("golden.sql").read_bytes())
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def golden(here: Here, golden_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.setenv("DELTA_DSN", golden_dsn)
    monkeypatch.setenv("DELTA_DATA_DIR", str(tmp_path / "data"))
    return here


def masked(text: str) -> str:
    """The same without what the clock and the machine decide; columns stay as wide."""
    text = AGE.sub(lambda age: "0".ljust(len(age[0])) if age[1] else "0", text)
    return NOW.sub(lambda now: re.sub(r"\d", "0", now[0]), text)


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("name", COMMANDS)
def test_the_bytes_are_those_of_the_file(golden: Here, name: str, form: Format) -> None:
    done = golden(*COMMANDS[name], "-o", form.value)
    file = FOLDER / f"{name.replace(' ', '').replace('--', '-')}.{SUFFIX[form.value]}"
    printed = masked(done.out)
    if os.environ.get("GOLDEN") == "write":
        file.write_text(printed, encoding="utf-8")
    assert printed == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*COMMANDS, *UNPINNED])
def test_what_is_printed_has_the_documented_shape(golden: Here, name: str) -> None:
    is_list = f"[{name}" in shapes.SHAPES
    shape = shapes.SHAPES[f"[{name}" if is_list else name]
    printed = golden(*(COMMANDS | UNPINNED)[name], "-o", "json").json()
    assert printed
    for record in printed if is_list else [printed]:
        assert_has_shape(record, shape)


def assert_has_shape(record: Any, shape: shapes.Shape) -> None:
    assert list(record) == list(shape)
    for name, of in shape.items():
        assert_has_type(record[name], of, name)


def assert_has_type(value: Any, of: str, name: str) -> None:
    if of == "json" or (of.endswith("?") and value is None):
        return
    of = of.removesuffix("?")
    if of[0] in "[{":
        for part in value if of[0] == "[" else value.values():
            assert_has_type(part, of[1:-1], name)
    elif of in shapes.PARTS:
        assert_has_shape(value, shapes.PARTS[of])
    else:
        assert isinstance(value, TYPES[of]), (name, value)
        assert of != "time" or re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", value), (name, value)


def test_the_version_of_the_shapes_is_told(here: Here) -> None:
    version = here("version", "-o", "json").expect(0).json()
    assert version["output_shape"] == SHAPE_VERSION == 1


def test_every_command_that_prints_json_has_a_documented_shape(here: Here) -> None:
    documented = {name.removeprefix("[") for name in shapes.SHAPES}
    # tests/cli/test_progress.py has what a drain prints, which ends its process.
    assert documented == {*COMMANDS, *UNPINNED, "run --drain"}
    explained = here("help", "shapes").expect(0).out
    for name, options in LEAVES.items():
        shaped = any(one.split()[: len(name.split())] == name.split() for one in documented)
        assert shaped == ("--output" in options), name
        assert not shaped or f"\ndelta {name}" in explained


def test_no_file_is_left_of_a_command_that_is_gone() -> None:
    names = {name.replace(" ", "").replace("--", "-") for name in COMMANDS}
    assert {file.stem for file in FOLDER.iterdir()} == names


def test_json_in_files_is_json() -> None:
    for file in FOLDER.glob("*.json"):
        json.loads(file.read_text(encoding="utf-8"))
