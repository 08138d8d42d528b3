"""Python programs in processes of their own."""

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def run_python(program: str, *arguments: str, folder: Path = CHECKOUT) -> str:
    """Run a program in `folder`, which it can import from; returns what it printed."""
    return run(sys.executable, "-c", program, *arguments, folder=folder)


def run(*command: str | Path, folder: Path = CHECKOUT) -> str:
    """Run a command that must succeed; returns what it printed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
