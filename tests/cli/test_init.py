"""`delta init` writes an application that runs as it is."""

from pathlib import Path

import pytest

from tests.cli.conftest import Here
from tests.support.command_line import CommandLine


def test_the_first_application_runs_as_it_is(delta: CommandLine) -> None:
    written = delta("init", "first").expect(0)
    assert written.out.splitlines() == ["first/app.py", "first/delta.toml"]
    delta.folder /= "first"
    ran = delta("run", "--drain").expect(0)
    assert "greeted Ada" in ran.out
    assert (delta.folder / "greetings" / "Grace.txt").read_text() == "Hello, Grace!\n"
    states = delta("status", "-o", "json").expect(0).json()["states"]
    assert states["synced"] == 3


def test_what_is_there_is_not_replaced_without_force(here: Here, tmp_path: Path) -> None:
    (tmp_path / "delta.toml").write_text("# mine\n")
    refused = here("init").expect(6)
    assert "delta.toml" in refused.err
    assert "--force" in refused.err
    assert not (tmp_path / "app.py").exists()
    assert (tmp_path / "delta.toml").read_text() == "# mine\n"
    here("init", "--force").expect(0)
    assert "app:config" in (tmp_path / "delta.toml").read_text()


@pytest.mark.parametrize(
    ("folder", "told"),
    [("app.py", "app.py is no folder"), ("/proc/x", "/proc/x cannot be written")],
)
def test_where_nothing_can_be_written_is_told(
    here: Here, tmp_path: Path, folder: str, told: str
) -> None:
    (tmp_path / "app.py").write_text("mine")
    done = here("init", folder).expect(2)
    assert done.err.startswith(f"error: {told}")
    assert "hint: choose another" in done.err
