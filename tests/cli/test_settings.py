"""Which setting wins, what profiles do, and what `delta config` tells of it."""

from pathlib import Path

import pytest

from delta_cli.cli.settings import resolve_settings
from delta_cli.engine.errors import ConfigError, StateConflict
from tests.cli.conftest import Here

FILE = """
app = "file:app"
dsn = "postgresql://file/db"
schema = "of_file"

[profiles.production]
dsn = "postgresql://operator:hunter2@production/db"
read_only = true

[profiles.staging]
app = "staging:app"
protected = true
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "delta.toml").write_text(FILE)
    return tmp_path


def resolved(folder: Path, environ: dict[str, str] | None = None, **flags: str):
    given = {"dsn": None, "app": None, "schema": None, **flags}
    return resolve_settings(**given, environ=environ or {}, folder=folder)


def test_a_flag_beats_the_environment_which_beats_the_file(folder: Path) -> None:
    environ = {"DELTA_APP": "environ:app"}
    assert resolved(folder).app.value == "file:app"
    assert resolved(folder, environ).app.value == "environ:app"
    flagged = resolved(folder, environ, app="flag:app").app
    assert (flagged.value, flagged.origin) == ("flag:app", "--app")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("status", "--dsn", ""), "--dsn is empty"),
        (("--dsn=", "status"), "--dsn is empty"),
        (("status", "--profile", ""), "--profile is empty"),
        (("status", "--app", ""), "--app is empty"),
        (("status", "--schema", ""), "--schema is empty"),
        (("list", "", "-n", "eu"), "KIND is empty"),
        (("list", "-n", ""), "--namespace is empty"),
        (("subscribe", "--kind", "a", "--kind", ""), "--kind is empty"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_empty_flag_is_refused_and_names_no_other_database(
    quick: Here, words: tuple[str, ...], told: str
) -> None:
    done = quick(*words).expect(2)
    assert done.err.startswith(f"error: {told}\nhint: ")
    assert done.out == ""


def test_an_empty_variable_counts_as_not_set(quick: Here) -> None:
    unset = {"DELTA_PROFILE": "", "DELTA_APP": "", "DELTA_SCHEMA": ""}
    quick("status", environ=unset).expect(0)


def test_a_profile_that_a_flag_names_beats_the_environment(folder: Path) -> None:
    environ = {"DELTA_DSN": "postgresql://environ/db", "DELTA_APP": "environ:app"}
    settings = resolved(folder, environ, profile="production")
    assert settings.database().origin == "profile production"
    assert settings.app.value == "environ:app"  # the profile says nothing of it
    flagged = resolved(folder, environ, profile="production", dsn="postgresql://flag/db")
    assert flagged.database().origin == "--dsn"


def test_a_profile_of_the_environment_yields_to_delta_s_own_variables_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://url/db")
    environ = {"DELTA_PROFILE": "production"}
    assert resolved(folder, environ).database().origin == "profile production"
    environ["DELTA_DSN"] = "postgresql://environ/db"
    assert resolved(folder, environ).database().origin == "DELTA_DSN"


def test_a_profile_of_the_file_comes_before_the_file_s_own_settings(folder: Path) -> None:
    (folder / "delta.toml").write_text('profile = "staging"\n' + FILE)
    settings = resolved(folder)
    assert (settings.app.value, settings.profile.value) == ("staging:app", "staging")
    assert settings.protected
    assert settings.schema_name == "of_file"


def test_a_read_only_profile_refuses_to_write(folder: Path) -> None:
    resolved(folder).must_write()
    with pytest.raises(StateConflict, match="'production' is read only"):
        resolved(folder, profile="production").must_write()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("profiles = 3", "profiles must be tables"),
        ("[profiles]\nx = 3", "profiles.x must be a table"),
        ("[profiles.x]\nread_only = 'yes'", "profiles.x.read_only must be true or false"),
        ("[profiles.x]\ncolour = 'red'", "unknown setting 'colour'"),
        ("profile = 3", "profile must be a string"),
        ("profile = 'y'", "there is no profile 'y'"),
    ],
)
def test_a_wrong_profile_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "delta.toml").write_text(text)
    with pytest.raises(ConfigError, match=told):
        resolved(tmp_path)


def test_config_shows_values_and_origins_and_no_password(here: Here, folder: Path) -> None:
    done = here("config", "--profile", "production", "-o", "json").expect(0)
    shown = {one["name"]: (one["value"], one["origin"]) for one in done.json()}
    assert shown["schema"] == ("of_file", str(folder / "delta.toml"))
    assert shown["dsn"][1] == "profile production"
    assert "***" in shown["dsn"][0]
    assert "hunter2" not in done.out
    assert shown["read_only"] == (True, "--profile")


def test_config_says_that_the_embedded_server_would_be_used(here: Here) -> None:
    shown = {one["name"]: one for one in here("config", "-o", "json").expect(0).json()}
    assert shown["dsn"] == {"name": "dsn", "value": "embedded Postgres", "origin": "embedded"}
