import importlib.util

import pytest

from tests.support.programs import run_python

DRAWING = ("rich", "tabulate", "textual", "typer")

IMPORT = """
import sys
import delta_cli
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


def loaded(program: str) -> set[str]:
    last_line = run_python(program).splitlines()[-1]
    return {name.partition(".")[0] for name in last_line.split()}


def test_importing_the_package_loads_nothing_that_draws():
    assert loaded(IMPORT).isdisjoint(DRAWING)


@pytest.mark.skipif(
    importlib.util.find_spec("delta_cli.cli.app") is None, reason="there is no command line yet"
)
def test_the_help_of_the_command_line_loads_no_dashboard():
    assert "textual" not in loaded(HELP)
