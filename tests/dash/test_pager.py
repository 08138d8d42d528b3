"""The pager, on a terminal of its own."""

import os
from pathlib import Path

import pytest

from delta_cli.dash.pager import PagerMissing, pager_command
from tests.cli.conftest import delta
from tests.dash.conftest import inform
from tests.support.command_line import CommandLine

__all__ = ["delta"]


@pytest.fixture
def pager(tmp_path: Path) -> tuple[str, Path]:
    """A pager that keeps what it was given, and waits for a key; and where it keeps it."""
    program, kept = tmp_path / "pager", tmp_path / "kept"
    keep = f"cat > {kept}.part; mv {kept}.part {kept}"
    program.write_text(f"#!/bin/sh\n{keep}\necho PAGER IS UP\nread x < /dev/tty\n")
    program.chmod(0o755)
    return str(program), kept


async def test_a_pager_gets_all_of_what_is_focused_and_the_screen_comes_back(
    delta: CommandLine, dsn: str, pager: tuple[str, Path]
) -> None:
    await inform(dsn, "needle")
    program, kept = pager
    environ = {"PAGER": program, "DELTA_PAGER": None, "NO_COLOR": "1"}
    with delta.terminal("dash", "--tab", "resources", columns=100, environ=environ) as terminal:
        terminal.until("needle", after=terminal.until('"key"'))
        terminal.type("v")
        up = terminal.until("PAGER IS UP")
        told = kept.read_text()
        terminal.type("\x03\n")  # Ctrl-C is the pager's, not the dashboard's
        terminal.until("OBJECT ID", after=up)
        terminal.type("q")
        assert terminal.end()[0] == 0
    for words in ("item/needle", '"key": "needle"', "never synced", "Timeline", "sync_count"):
        assert words in told


def test_the_pager_is_the_one_that_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "less -S")
    assert pager_command() == ["less", "-S"]
    monkeypatch.setenv("DELTA_PAGER", "'most wanted' +1")
    assert pager_command() == ["most wanted", "+1"]
    monkeypatch.setenv("DELTA_PAGER", "'")
    with pytest.raises(PagerMissing, match="DELTA_PAGER is no command"):
        pager_command()
    monkeypatch.delenv("DELTA_PAGER")
    monkeypatch.delenv("PAGER")
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(PagerMissing, match="set PAGER"):
        pager_command()
