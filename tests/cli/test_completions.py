"""Tab: the shells' files are fresh, and words come from the database or not at all."""

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


def pressed(delta: CommandLine, line: str) -> list[str]:
    """What bash is offered at the end of a line."""
    words = line.split(" ")
    done = delta(
        environ={
            "_DELTA_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
    )
    assert done.err == ""
    return done.out.split()


@pytest.mark.parametrize("shell", FILES)
def test_the_files_are_what_delta_writes(delta: CommandLine, shell: str) -> None:
    written = delta(environ={"_DELTA_COMPLETE": f"source_{shell}"}).out
    shipped = (CHECKOUT / "completions" / FILES[shell]).read_text()
    assert shipped.split() == written.split(), "run: make completions"


def test_commands_and_their_choices_are_offered(delta: CommandLine) -> None:
    assert {"status", "subscribe"} <= set(pressed(delta, "delta s"))
    assert "degraded" in pressed(delta, "delta list --state d")
    assert pressed(delta, "delta subscribe --category object_re") == [
        "object_retried",
        "object_rescued",
    ]


def test_kinds_namespaces_and_ids_come_from_the_database(shop: CommandLine, inform: Inform) -> None:
    shop("run", "--drain").expect(0)
    inform("apple", "apricot", "banana")
    assert pressed(shop, "delta list it") == ["item"]
    assert pressed(shop, "delta get item ap") == ["apple", "apricot"]
    assert pressed(shop, "delta get other ap") == []
    assert pressed(shop, "delta list --namespace d") == ["default"]
    assert "rescue" in pressed(shop, "delta tick r")
    assert pressed(shop, "delta pause kind i") == ["item"]
    assert "clean" in pressed(shop, "delta pause tick c")


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
