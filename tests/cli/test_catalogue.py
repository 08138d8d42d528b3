"""The list of commands, their help, and what it costs to show it."""

import json
import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from delta_cli.cli.catalogue import CATALOGUE
from delta_cli.cli.exit_codes import MEANINGS, ExitCode
from delta_cli.cli.reference import rewritten
from tests.cli.conftest import Here
from tests.cli.leaves import LEAVES
from tests.support.programs import CHECKOUT

HEAVY = ("psycopg", "pydantic", "asyncio", "textual", "rich", "delta_cli.engine.client")


def test_help_lists_every_command_under_its_panel(here: Here) -> None:
    shown = here("--help").expect(0).out
    for title in ("Work:", "Look:", "Repair:", "Operate:", "Setup:"):
        assert f"\n{title}\n" in shown
    for name, entry in CATALOGUE.items():
        assert f"\n  {name} " in shown
        assert " ".join(entry.summary.split()[:4]) in shown


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_command_explains_itself_with_examples(here: Here, name: str) -> None:
    shown = here(name, "--help").expect(0).out
    assert shown.startswith(f"Usage: delta {name}")
    assert f"delta {name}" in shown.partition("\n")[2]


@pytest.mark.parametrize("name", LEAVES)
def test_help_has_examples_and_no_types_of_python(here: Here, name: str) -> None:
    shown = here(*name.split(), "--help").expect(0).out
    examples = shown.partition("\nExamples:\n")[2].splitlines()
    assert len([line for line in examples if f"delta {name}" in line or "|" in line]) >= 2
    assert "list[" not in shown
    assert "<str>" not in shown


def test_no_word_at_all_is_answered_with_help(here: Here) -> None:
    assert "Usage: delta" in here().expect(2).err


def test_a_mistyped_command_is_answered_with_the_nearest(here: Here) -> None:
    assert "Did you mean 'status'?" in here("statsu").expect(2).err


def test_every_exit_status_is_explained(here: Here) -> None:
    shown = here("help", "exit-codes").expect(0).out
    assert MEANINGS.keys() == set(ExitCode)
    for code, meaning in MEANINGS.items():
        assert f"{code.value}  {meaning}" in shown
    assert "DELTA_DSN" in here("help", "environment").expect(0).out
    assert "jsonl" in here("help", "formats").expect(0).out
    assert "exit-codes" in here("help", "everything").expect(2).err


def loaded_by(words: list[str], **environ: str) -> list[str]:
    """What heavy modules a process of `delta` has loaded at its end."""
    program = (
        "import json, sys; from delta_cli.cli.app import run_words; "
        f"run_words({words!r}); print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environ},
    )
    modules = json.loads(done.stdout.splitlines()[-1])
    return [name for name in HEAVY if name in modules]


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["status", "--help"]])
def test_help_and_version_load_nothing_heavy(words: list[str]) -> None:
    assert loaded_by(words) == []


def test_tab_loads_nothing_heavy_for_a_command() -> None:
    bash = {"_DELTA_COMPLETE": "complete_bash", "COMP_WORDS": "delta s", "COMP_CWORD": "1"}
    assert loaded_by([], **bash) == []
    assert "psycopg" not in loaded_by([], **bash | {"COMP_WORDS": "delta list -"})


def test_the_version_is_that_of_the_installed_package(here: Here) -> None:
    assert here("--version").expect(0).out == f"delta {version('deltaloop')}\n"


def test_the_reference_in_the_readme_is_what_the_commands_say() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    assert rewritten(readme) == readme, "run: make reference"
    for name in CATALOGUE:
        assert f"<code>delta {name}</code>" in readme
