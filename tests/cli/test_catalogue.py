"""The list of commands, their help, and what it costs to show it."""

import json
import subprocess
import sys

import pytest

from delta_cli.cli.catalogue import CATALOGUE
from delta_cli.cli.exit_codes import MEANINGS, ExitCode
from delta_cli.cli.reference import rewritten
from tests.cli.conftest import Here
from tests.support.programs import CHECKOUT

HEAVY = ("psycopg", "pydantic", "textual", "rich", "delta_cli.engine.client")


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


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_help_and_version_load_nothing_heavy(words: list[str]) -> None:
    program = (
        "import json, sys; from delta_cli.cli.app import run_words; "
        f"run_words({words!r}); print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert not [name for name in HEAVY if name in loaded]


def test_the_reference_in_the_readme_is_what_the_commands_say() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    assert rewritten(readme) == readme, "run: make reference"
    for name in CATALOGUE:
        assert f"<code>delta {name}</code>" in readme
