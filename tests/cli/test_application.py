"""What may happen while an application is imported."""

import signal

import pytest

from tests.support.command_line import CommandLine, ended
from tests.support.embedded import until

#: Its import goes on until a signal comes.
SLOW = """
import signal
from pathlib import Path

Path("importing").touch()
while True:
    signal.pause()
"""


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


def test_an_application_that_ends_the_process_itself_does_not_import(delta: CommandLine) -> None:
    (delta.folder / "ends.py").write_text("import sys\n\nsys.exit(143)\n")
    done = delta("run", "--app", "ends:config").expect(2)
    assert "does not import: SystemExit: 143" in done.err
