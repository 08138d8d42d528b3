import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.embedded import until
from tests.support.programs import CHECKOUT, run_python

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
DELTA = "from delta_cli.cli.app import main; main()"

COMMANDS = """
from typer.main import get_command
from delta_cli.cli.app import app
print(*get_command(app).commands)
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def promises() -> set[int]:
    return {int(number) for number in re.findall(r"^\| (\d+) \| \*\*", README, re.MULTILINE)}


@pytest.fixture
def application(tmp_path: Path) -> Path:
    """A folder with the README's programs, each named by its first line, and a `delta` to run."""
    for program in blocks("python"):
        name = program.partition("\n")[0].removeprefix("# ")
        (tmp_path / name).write_text(program, encoding="utf-8")
    delta = tmp_path / "bin/delta"
    delta.parent.mkdir()
    delta.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{DELTA}' \"$@\"\n", encoding="utf-8")
    delta.chmod(0o755)
    return tmp_path


def run_in(folder: Path, dsn: str, *command: str) -> str:
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "DELTA_DSN": dsn, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_application_does_what_the_readme_says(application: Path, dsn: str) -> None:
    (script,) = blocks("sh")
    printed = run_in(application, dsn, "sh", "-e", "-c", script)
    assert [line.split()[3:5] for line in printed.splitlines()[-2:]] == [
        ["ann", "synced"],
        ["bob", "synced"],
    ]
    assert (application / "homes/bob/.forward").read_text() == "bob@hello.com"


def test_the_readme_says_how_to_get_the_command_before_it_is_used() -> None:
    beginning = README.partition("## An application")[0]
    assert "`. .venv/bin/activate`" in beginning
    (extra,) = re.findall(r"^pip install '/path/to/checkout\[(\w+)\]'$", beginning, re.MULTILINE)
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert extra in project["optional-dependencies"]
    assert "delta" in project["scripts"]


def test_informing_from_code_prints_what_the_readme_says(application: Path, dsn: str) -> None:
    expected = re.search(r"print\(.*\)  # (.*)", (application / "signup.py").read_text())
    assert expected is not None
    assert run_in(application, dsn, sys.executable, "signup.py").strip() == expected.group(1)


def test_a_program_that_works_ends_with_sigterm_as_the_readme_says(
    application: Path, dsn: str
) -> None:
    (application / "users.csv").write_text("id,email\nbob,bob@hello.com\n")
    environment = os.environ | {"DELTA_DSN": dsn, "PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen([sys.executable, "worker.py"], cwd=application, env=environment) as ours:
        try:
            until((application / "homes/bob/.forward").exists)
            ours.send_signal(signal.SIGTERM)
            assert ours.wait(30) == 0
        finally:
            ours.kill()


def test_the_test_of_a_controller_passes(application: Path, dsn: str) -> None:
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_app.py")
    assert "1 passed" in run_in(application, dsn, sys.executable, *words)


def test_the_commands_are_those_that_exist() -> None:
    named = set(re.findall(r"^\| `delta (\w+)", README, re.MULTILINE))
    assert named == set(run_python(COMMANDS).split())


def test_every_test_of_a_guarantee_holds_a_promise_of_the_readme() -> None:
    tests = (CHECKOUT / "tests/guarantees").glob("test_*.py")
    numbers = {int(test.name.split("_")[1]) for test in tests}
    assert numbers <= promises()


def test_what_the_readme_links_to_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert [link for link in links if not (CHECKOUT / link).exists()] == []
