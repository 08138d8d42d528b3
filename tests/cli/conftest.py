"""What the tests of the command line share: `delta` against a database, and resources in it."""

import asyncio
import logging
import signal
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from delta_cli import Client, Config
from delta_cli.cli.app import run_words
from delta_cli.engine.objects import encode_raw
from tests.support.command_line import APPS, CommandLine, Done

Here = Callable[..., Done]
Inform = Callable[..., None]
Rows = Callable[[], dict[str, dict[str, Any]]]


@pytest.fixture
def delta(dsn: str, tmp_path: Path) -> CommandLine:
    """`delta` on a fresh migrated database, without an application."""
    return CommandLine(tmp_path, {"DELTA_DSN": dsn})


@pytest.fixture
def shop(dsn: str, tmp_path: Path) -> CommandLine:
    """`delta` with the application `shop`."""
    environ = {"DELTA_DSN": dsn, "DELTA_APP": f"{APPS / 'shop.py'}:config"}
    return CommandLine(tmp_path, {**environ, "SHOP_FOLDER": str(tmp_path)})


@pytest.fixture
def nowhere(tmp_path: Path) -> CommandLine:
    """`delta` where no server is, with a password that nobody may see."""
    dsn = "postgresql://user:hunter2@127.0.0.1:1/nothing?connect_timeout=2"
    return CommandLine(tmp_path, {"DELTA_DSN": dsn})


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Generator[Here]:
    """`delta` within this process, where one of its own would show nothing more."""
    monkeypatch.chdir(tmp_path)
    logger, handler = logging.getLogger("delta_cli"), signal.getsignal(signal.SIGTERM)
    before = (logger.handlers, logger.propagate, logger.level, logging.getLogger().handlers[:])

    def run(*words: str, environ: Mapping[str, str] | None = None) -> Done:
        with monkeypatch.context() as patch:
            for name, value in (environ or {}).items():
                patch.setenv(name, value)
            code = run_words(words)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    yield run
    signal.signal(signal.SIGTERM, handler)
    logger.handlers, logger.propagate, logger.level, logging.getLogger().handlers[:] = before


@pytest.fixture
def quick(here: Here, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Here:
    """`here` on a fresh migrated database; not for `run`, which ends its process."""
    monkeypatch.setenv("DELTA_DSN", dsn)
    return here


@pytest.fixture
def inform(dsn: str) -> Inform:
    """Store items by id, as `inform("a", b="bad")`; their names say how their work goes."""

    def store(*ids: str, **names: str) -> None:
        items = [{"id": one, "name": "good"} for one in ids]
        items += [{"id": one, "name": name} for one, name in names.items()]
        asyncio.run(_inform(dsn, items))

    return store


async def _inform(dsn: str, items: list[dict[str, str]]) -> None:
    async with Client(dsn, Config()) as client:
        await client.inform_many(encode_raw("item", item["id"], item) for item in items)


@pytest.fixture
def rows(dsn: str) -> Rows:
    """Read all resources as they are in the database, by id."""

    def read() -> dict[str, dict[str, Any]]:
        with psycopg.connect(dsn) as connection, connection.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute("select * from delta.delta_resource").fetchall()
        return {row["object_id"]: row for row in found}

    return read
