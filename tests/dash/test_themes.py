from pathlib import Path

import pytest

from delta_cli.dash.themes import read_themes, themes_folder
from tests.cli.conftest import delta
from tests.dash.conftest import Dash
from tests.support.command_line import CommandLine

__all__ = ["delta"]

NIGHT = """
primary = "#335577"
background = "#101820"
warning = "orange"
dark = true

[variables]
footer-background = "#000000"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of themes of a person whose configuration is in a place of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    themes_folder().mkdir(parents=True)
    return themes_folder()


async def test_a_theme_of_ones_own_is_shown(dash: Dash, folder: Path) -> None:
    (folder / "night.toml").write_text(NIGHT)
    themes = read_themes(folder)
    themes.check("night")
    async with dash(theme="night", themes=themes.own) as driven:
        assert driven.app.current_theme.name == "night"
        assert driven.app.screen.styles.background.hex == "#101820"


def test_a_folder_that_is_not_there_holds_no_themes(tmp_path: Path) -> None:
    themes = read_themes(tmp_path / "nowhere")
    assert not themes.own and not themes.broken


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("primary = ", "cannot be read"),
        ("", "primary is missing"),
        ('primary = "blurple"', "primary must be a colour, got 'blurple'"),
        ("primary = 7", "primary must be a colour, got 7"),
        ('primary = "red"\nprimry = "red"', "unknown setting 'primry'"),
        ('primary = "red"\ndark = "yes"', "dark must be true or false, got 'yes'"),
        ('primary = "red"\n[variables]\nborder = 1', "variables must be a table of strings"),
    ],
)
def test_what_is_wrong_with_a_theme_is_named_and_others_stay(
    text: str, told: str, folder: Path
) -> None:
    (folder / "bad.toml").write_text(text)
    (folder / "night.toml").write_text(NIGHT)
    themes = read_themes(folder)
    assert list(themes.own) == ["night"]
    assert told in themes.broken["bad"].message and "bad.toml" in themes.broken["bad"].message


def test_a_theme_of_ones_own_takes_no_name_of_another(folder: Path) -> None:
    (folder / "nord.toml").write_text(NIGHT)
    assert "there is a theme of this name" in read_themes(folder).broken["nord"].message


def test_a_broken_theme_is_told_and_the_default_shown(
    delta: CommandLine, folder: Path, tmp_path: Path
) -> None:
    (folder / "bad.toml").write_text('primary = "blurple"')
    (folder / "night.toml").write_text(NIGHT)
    done = delta("dash", "--once", "--theme", "bad").expect(0)
    assert "primary must be a colour, got 'blurple'" in done.err
    assert "States by kind" in done.out
    unknown = delta("dash", "--once", "--theme", "nigth").expect(2)
    assert "there is no theme 'nigth'" in unknown.err and "night" in unknown.err
