"""What a user installs has the migrations of the checkout, however it was built."""

import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.programs import CHECKOUT, run

# Built once, by one process.
pytestmark = pytest.mark.xdist_group("packaging")

MIGRATIONS = {path.name: path.read_bytes() for path in (CHECKOUT / "migrations").glob("*.sql")}

# Prints where the package and its migrations come from, and applies them where given a database.
PROGRAM = """
import asyncio, site, sys
site.addsitedir(sys.argv[1])
sys.path.insert(0, sys.argv[1])
import psycopg
from delta_cli.engine import schema
from delta_cli.engine.schema import files

async def main():
    async with await psycopg.AsyncConnection.connect(sys.argv[2]) as connection:
        applied = await schema.migrate(connection)
        await schema.require_current(connection)
    print(schema.__file__)
    print(files._shipped_folder())
    print(*[migration.file_name for migration in applied])

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, the wheel made from the sdist, and in `direct` one without it."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation"]
    run(*build, "--outdir", folder)
    run(*build, "--wheel", "--outdir", folder / "direct")
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (wheel,) = built.glob("*.whl")
    return wheel


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def install(folder: Path, *what: str | Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    run(*pip, "--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed", *what)
    assert folder.is_dir()


def run_outside(site: Path, dsn: str, outside: Path) -> list[str]:
    """Run the program with the package of `site`, in a folder that is not the checkout."""
    return run(sys.executable, "-I", "-c", PROGRAM, site, dsn, folder=outside).splitlines()


def test_the_wheel_has_the_migrations_of_the_checkout(wheel: Path):
    inside = "delta_cli/migrations/"
    assert MIGRATIONS
    assert {
        name.removeprefix(inside): data
        for name, data in contents(wheel).items()
        if name.startswith(inside)
    } == MIGRATIONS


def test_a_wheel_is_the_same_with_and_without_an_sdist_between(built: Path, wheel: Path):
    (direct,) = (built / "direct").glob("*.whl")
    assert contents(wheel) == contents(direct)


def test_the_wheel_tells_type_checkers_that_it_is_typed(wheel: Path):
    assert "delta_cli/py.typed" in contents(wheel)


def test_the_sdist_has_what_a_packager_needs(built: Path):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"migrations/{name}" for name in MIGRATIONS} <= names
    assert {"README.md", "CHANGELOG.md", "LICENSE", "Makefile", "pyproject.toml"} <= names
    assert {"tests/conftest.py", "delta_cli/engine/schema/__init__.py"} <= names
    assert not {name for name in names if name.startswith((".venv", ".git/")) or ".pyc" in name}


def test_an_installed_wheel_migrates_a_database_without_a_checkout(
    wheel: Path, tmp_path: Path, empty_dsn: str
):
    site = tmp_path / "site"
    install(site, "--target", site, wheel)
    module, folder, applied = run_outside(site, empty_dsn, tmp_path)
    assert Path(module).is_relative_to(site)
    assert folder == str(site / "delta_cli" / "migrations")
    assert applied.split() == sorted(MIGRATIONS)


def test_an_editable_install_takes_the_migrations_of_the_checkout(tmp_path: Path, empty_dsn: str):
    prefix = tmp_path / "prefix"
    install(prefix, "--prefix", prefix, "--editable", CHECKOUT)
    (site,) = prefix.glob("lib/python*/site-packages")
    module, folder, applied = run_outside(site, empty_dsn, tmp_path)
    assert Path(module).is_relative_to(CHECKOUT)
    assert folder == str(CHECKOUT / "migrations")
    assert applied.split() == sorted(MIGRATIONS)
