"""`delta init` writes an application that runs as it is."""

from pathlib import Path

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
