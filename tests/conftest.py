"""What every test may ask for: databases on a real Postgres, in an environment without settings.

`dsn` is a fresh migrated database, `empty_dsn` a bare one; both are on one server that all
processes of a run share. A test that kills or restarts its server asks for `own_server`.
"""

import asyncio
import os
import signal
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest

from delta_cli.engine.embedded import EmbeddedServer
from delta_cli.engine.schema import migrate
from tests.support.databases import Databases
from tests.support.place import Place, remove_abandoned_places, server_folder

# Handed to the processes of pytest-xdist, which inherit the environment.
PLACE = "TESTS_PLACE"
SETTINGS = ("DELTA_", "PG", "DATABASE_URL")

# What a report may tell of the environment, or needs of it.
REPORTED = ("PATH", "PYTEST_XDIST_WORKER", "LANG", "LC_ALL", "TERM", "TZ", "PYTHONPATH")

_place = pytest.StashKey[Place]()


def pytest_configure(config: pytest.Config) -> None:
    # Who runs the tests in the background may have had Ctrl-C ignored, which all processes inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        remove_abandoned_places()
        config.stash[_place] = Place()
        os.environ[PLACE] = str(config.stash[_place].folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _place in config.stash:
        config.stash[_place].remove()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish() -> Generator[None]:
    """The report of snapshots lists the whole environment: no address or password may be in it.

    It is written by the process that starts the others, which loads this file and no other.
    """
    before = dict(os.environ)
    for name in before:
        if name not in REPORTED and not name.startswith("TEXTUAL_SNAPSHOT"):
            del os.environ[name]
    try:
        return (yield)
    finally:
        os.environ.update(before)


@pytest.fixture(scope="session")
def place() -> Path:
    """The folder of this run that Postgres can enter, whoever runs the tests."""
    return Path(os.environ[PLACE])


@pytest.fixture(scope="session", autouse=True)
def no_settings(place: Path) -> Generator[None]:
    """No test sees the settings of the person who runs it, or their embedded database."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(SETTINGS):
                patch.delenv(name)
        patch.setenv("DELTA_DATA_DIR", str(place / "default"))
        yield


@pytest.fixture(scope="session")
def server(place: Path) -> Generator[EmbeddedServer]:
    """The server that all tests of this run share. Not to be stopped, restarted or configured."""
    server = EmbeddedServer(server_folder(place))
    server.join()
    yield server
    server.leave()


@pytest.fixture(scope="session")
def databases(server: EmbeddedServer, worker_id: str) -> Generator[Databases]:
    databases = Databases(server.dsn, worker_id)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def template(databases: Databases, worker_id: str) -> str:
    """The name of a migrated database, to be cloned."""
    name = f"delta_template_{worker_id}"
    asyncio.run(_migrate(databases.create(name)))
    return name


@pytest.fixture
def dsn(databases: Databases, template: str) -> Generator[str]:
    """A fresh database, migrated."""
    dsn = databases.create(template=template)
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def empty_dsn(databases: Databases) -> Generator[str]:
    """A fresh database with nothing in it."""
    dsn = databases.create()
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def own_server(place: Path, worker_id: str) -> Generator[EmbeddedServer]:
    """A server for one test to kill or restart; the database of its `dsn` is migrated."""
    server = EmbeddedServer(place / f"own-{worker_id}")
    asyncio.run(_migrate(server.join()))
    yield server
    server.stop(force=True)
    server.reset()


async def _migrate(dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await migrate(connection)
