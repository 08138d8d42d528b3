from tests.support.programs import run_python

DRAWING = ("rich", "tabulate", "textual", "typer")

IMPORT = """
import sys
import delta_cli
print(*sys.modules)
"""

CLIENT = """
import sys
from delta_cli import Client
Client()
print(*sys.modules)
"""

HELP = """
import atexit
import sys
from delta_cli.cli.app import main
sys.argv = ["delta", "--help"]
atexit.register(lambda: print(*sys.modules))
main()
"""


def loaded(program: str) -> list[str]:
    return run_python(program).splitlines()[-1].split()


def packages(program: str) -> set[str]:
    return {name.partition(".")[0] for name in loaded(program)}


def test_importing_the_package_loads_nothing_that_draws():
    assert packages(IMPORT).isdisjoint(DRAWING)


def test_a_client_that_does_not_work_loads_no_worker():
    assert "delta_cli.engine.runtime" not in loaded(CLIENT)


def test_the_help_of_the_command_line_loads_no_dashboard():
    assert "textual" not in packages(HELP)
