"""Tab: the shells' files are fresh, and words come from the database or not at all."""

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from tests.cli.conftest import Inform
from tests.support.command_line import CommandLine
from tests.support.programs import CHECKOUT

FILES = {"bash": "delta.bash", "zsh": "_delta", "fish": "delta.fish"}


def pressed(delta: CommandLine, line: str, shell: str = "bash") -> list[str]:
    """What a shell is offered at the end of a line."""
    done = delta(environ={"_DELTA_COMPLETE": f"complete_{shell}", "COMP_LINE": line})
    assert done.err == ""
    return done.out.splitlines()


@pytest.mark.parametrize("shell", FILES)
def test_the_files_are_what_delta_writes(delta: CommandLine, shell: str) -> None:
    written = delta(environ={"_DELTA_COMPLETE": f"source_{shell}"}).out
    shipped = (CHECKOUT / "completions" / FILES[shell]).read_text()
    assert shipped == written, "run: make completions"


def test_commands_and_their_choices_are_offered(delta: CommandLine) -> None:
    assert {"status", "subscribe"} <= set(pressed(delta, "delta s"))
    assert "degraded" in pressed(delta, "delta list --state d")
    assert pressed(delta, "delta subscribe --category object_re") == [
        "object_retried",
        "object_rescued",
    ]


def test_kinds_namespaces_and_ids_come_from_the_database(shop: CommandLine, inform: Inform) -> None:
    assert pressed(shop, "delta tick r") == ["rebalance", "rescue"]
    shop("run", "--drain").expect(0)
    inform("apple", "apricot", "banana")
    assert pressed(shop, "delta list it") == ["item"]
    assert pressed(shop, "delta get item ap") == ["apple", "apricot"]
    assert pressed(shop, "delta get other ap") == []
    assert pressed(shop, "delta list --namespace d") == ["default"]
    assert pressed(shop, "delta pause kind i") == ["item"]
    assert "clean" in pressed(shop, "delta pause tick c")


def test_what_a_shell_or_a_terminal_would_obey_is_not_offered(
    delta: CommandLine, inform: Inform
) -> None:
    inform(
        "ok:1",
        "ok$(reboot)",
        "ok\\`x`",
        "ok two",
        "ok\nreboot",
        "ok\x1b]0;x\x07",
        "-ok",
        "ok\u202e",
    )
    assert pressed(delta, "delta get item ") == ["ok:1"]
    assert pressed(delta, "delta get item ", "zsh") == [r"ok\:1"]
    assert pressed(delta, "delta get item ", "fish") == ["ok:1"]


def test_a_script_of_typer_s_is_offered_words_in_bash_and_has_nothing_to_evaluate_in_zsh(
    delta: CommandLine,
) -> None:
    environ = {"COMP_WORDS": "delta\nstat", "COMP_CWORD": "1"}
    assert delta(environ={"_DELTA_COMPLETE": "complete_bash", **environ}).out == "status\n"
    environ = {"_TYPER_COMPLETE_ARGS": "delta stat"}
    assert delta(environ={"_DELTA_COMPLETE": "complete_zsh", **environ}).out == ""


def test_an_option_that_prints_prints_nothing_before_a_tab(delta: CommandLine) -> None:
    for option in ("--version", "--show-completion", "--install-completion"):
        assert pressed(delta, f"delta {option} stat") == ["status"]


def test_the_scripts_are_shown_and_installed_as_shipped(delta: CommandLine) -> None:
    shipped = (CHECKOUT / "completions" / "delta.bash").read_text()
    delta.environ["HOME"] = str(delta.folder)
    assert from_bash(delta, "--show-completion").stdout == shipped
    assert (
        f"{delta.folder}/.bash_completions/delta.sh"
        in from_bash(delta, "--install-completion").stderr
    )
    assert (delta.folder / ".bash_completions" / "delta.sh").read_text() == shipped
    assert "delta.sh" in (delta.folder / ".bashrc").read_text()


def from_bash(delta: CommandLine, option: str) -> "subprocess.CompletedProcess[str]":
    """Run `delta` below a bash, which it finds by that."""
    return subprocess.run(
        # A second command, so that bash is not replaced by the first.
        ["bash", "-c", f"'{sys.executable}' -m delta_cli.cli.app {option}; exit $?"],
        cwd=delta.folder,
        env={**os.environ, **{k: v for k, v in delta.environ.items() if v is not None}},
        capture_output=True,
        text=True,
        check=True,
    )


def test_without_a_database_there_is_silence_within_a_second(
    nowhere: CommandLine, tmp_path: Path
) -> None:
    began = time.monotonic()
    assert pressed(nowhere, "delta get item a") == []
    nowhere.environ["DELTA_DSN"] = "postgresql://user@192.0.2.1/unreachable"
    assert pressed(nowhere, "delta list i") == []
    embedded = {"DELTA_DSN": None, "DELTA_DATA_DIR": str(tmp_path / "none")}
    nowhere.environ.update(embedded)
    assert pressed(nowhere, "delta list i") == []
    assert not (tmp_path / "none").exists()
    # Three starts of Python on a machine that does other things as well.
    assert time.monotonic() - began < 15


def test_the_wheel_installs_them_where_shells_look(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path]
    subprocess.run([*build, CHECKOUT], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = {name.partition("/data/")[2] for name in zipfile.ZipFile(wheel).namelist()}
    assert "share/bash-completion/completions/delta" in names
    assert "share/zsh/site-functions/_delta" in names
    assert "share/fish/vendor_completions.d/delta.fish" in names
