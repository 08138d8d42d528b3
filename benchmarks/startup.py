"""How soon `delta` answers, beside Python itself and beside Typer, in one run on one machine.

    python benchmarks/startup.py [--rounds 20]

Prints medians. The budget: help within 1.6 times `import typer`.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

DELTA = [sys.executable, "-m", "delta_cli.cli.app"]
TYPER = 'python -c "import typer"'
PROGRAMS: dict[str, list[str]] = {
    "python -c pass": [sys.executable, "-c", "pass"],
    TYPER: [sys.executable, "-c", "import typer"],
    "delta --version": [*DELTA, "--version"],
    "delta --help": [*DELTA, "--help"],
    "delta run --help": [*DELTA, "run", "--help"],
    "delta s<Tab>": DELTA,
    "delta list --state f<Tab>": DELTA,
}
_TAB = "<Tab>"


def _seconds(name: str, environ: dict[str, str]) -> float:
    if name.endswith(_TAB):
        line = name.removesuffix(_TAB)
        word = str(line.count(" "))
        bash = {"_DELTA_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": word}
        environ = environ | bash
    began = time.perf_counter()
    subprocess.run(PROGRAMS[name], env=environ, capture_output=True, check=True)  # noqa: S603 - our own
    return time.perf_counter() - began


def main() -> None:
    """Take turns, so that a slow moment of the machine meets all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DELTA_")}
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds):
        for name in PROGRAMS:
            times[name].append(_seconds(name, environ))
    base = statistics.median(times[TYPER])
    for name, taken in times.items():
        middle = statistics.median(taken)
        print(f"{name:<28}{1000 * middle:>8.0f} ms   {middle / base:>5.2f} x import typer")


if __name__ == "__main__":
    main()
