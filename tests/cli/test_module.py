"""The package as a program, and its version."""

import subprocess
import sys
from importlib.metadata import version

import delta_cli


def test_the_package_runs_as_delta() -> None:
    words = [sys.executable, "-m", "delta_cli", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == f"delta {version('deltaloop')}\n"


def test_the_package_tells_its_version() -> None:
    assert delta_cli.__version__ == version("deltaloop")
