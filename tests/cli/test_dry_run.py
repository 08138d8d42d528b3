"""--dry-run: every command that changes something has it, tells what it would do, and does not."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.cli.conftest import Here
from tests.cli.leaves import LEAVES
from tests.support.command_line import APPS
from tests.support.databases import Databases

SHOP = ("--app", f"{APPS / 'shop.py'}:config")
#: What each would change, called so, and a word of what it tells.
CASES: dict[str, list[tuple[Sequence[str], str]]] = {
    "inform": [
        (("item", "--actor", "ann"), '"requested_by": "ann"'),
        (("item", *SHOP), '"state": "queued"'),
        (("item", "--foreground", *SHOP), '"state": "queued"'),
        (
            ("item", "--object", '{"id": "1e5", "new": 1}', "--object", '{"id": "b"}'),
            '"updated": 1',
        ),
        (("item", "--file", "objects.jsonl", "--continue-on-error"), '"created": 1'),
    ],
    "invalidate": [(("item", "1e5"), '"outcome": "applied"')],
    "retry": [(("item", "--all"), '"object_id": "日本"')],
    "delete": [(("item", "--all"), '"object_id": "1e5"')],
    "cancel": [(("item", "busy"), '"state": "pending"')],
    "tick": [(("clean",), '"outcome": null'), (("rescue",), '"last_start": null')],
    "pause": [(("namespace", "eu", "--for", "1h"), '"scope": "namespace"')],
    "resume": [(("kind", "user"), '"reason": "the API is down"')],
    "namespaces": [(("set", "eu", "--max-workers", "9"), '"max_workers": 9')],
    "init": [((), "app.py")],
    "migrate": [((), "[]"), (("--schema", "other"), "create table delta_resource")],
    "demo": [(("--source", "from", "--target", "to"), '"copied": 1')],
    "db start": [((), '"running": true')],
    "db stop": [((), "it does not run")],
    "db reset": [((), "would be removed")],
}
#: Those that change nothing at all.
LOOKS = {
    *("status", "list", "get", "workers", "controllers", "informs"),
    *("config", "doctor", "db status", "db path", "help", "version"),
}
#: Those that change something and are not rehearsed, with the reason.
EXCEPTIONS = {
    "run": "what it would work, `delta status` shows as due",
    "subscribe": "it reads; with --name it keeps how far it has read, which is its own",
    "dash": "it asks before each action, and shows the equal command",
    "db psql": "what is typed into psql is psql's",
}


@pytest.fixture(scope="module")
def golden_dsn(databases: Databases, template: str) -> Any:
    dsn = databases.create(template=template)
    with psycopg.connect(dsn) as connection:
        connection.execute(Path(__file__).with_name("golden.sql").read_bytes())
    yield dsn
    databases.drop(dsn)


def rows_of(dsn: str) -> dict[str, list[Any]]:
    """All that is in the database, by table."""
    tables = "select schemaname, tablename from pg_tables where schemaname !~ '^pg_|^information_'"
    with psycopg.connect(dsn) as connection:
        return {
            ".".join(name): connection.execute(
                sql.SQL("select one::text from {} as one order by 1").format(sql.Identifier(*name))
            ).fetchall()
            for name in connection.execute(tables).fetchall()
        }


def files_of(folder: Path) -> dict[str, str]:
    """All that is in a folder."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


def test_every_command_that_changes_something_has_a_dry_run() -> None:
    assert {name for name, options in LEAVES.items() if "--dry-run" in options} == CASES.keys()
    assert LEAVES.keys() == {*CASES, *LOOKS, *EXCEPTIONS}


@pytest.mark.parametrize("name", CASES)
def test_a_dry_run_tells_and_changes_nothing(
    here: Here, golden_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("DELTA_DSN", golden_dsn)
    monkeypatch.setenv("DELTA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SHOP_FOLDER", str(tmp_path))
    (tmp_path / "objects.jsonl").write_text('{"id": "new"}\nbroken\n')
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "file").write_text("content")
    before = rows_of(golden_dsn), files_of(tmp_path)
    form = ("-o", "json") if "--output" in LEAVES[name] else ()
    for words, told in CASES[name]:
        refused = "--continue-on-error" in words  # as the real one, which passes over a line
        done = here(*name.split(), *words, "--dry-run", *form).expect(1 if refused else 0)
        assert told in done.out.replace("\\n", "\n") + done.err
        assert (rows_of(golden_dsn), files_of(tmp_path)) == before


def test_a_dry_run_is_refused_as_the_command_would_be(here: Here, golden_dsn: str) -> None:
    def refused(*words: str) -> str:
        return here(*words, "--dry-run", "--dsn", golden_dsn).err

    assert "there is no namespace 'asia'" in refused("pause", "namespace", "asia")
    assert "item/1e5 is synced: cancel is refused" in refused("cancel", "item", "1e5")
    assert "did you mean 'clean'?" in refused("tick", "claen")
    assert "exclude each other" in refused("namespaces", "set", "eu", "--synced-retention", "1h")
    assert "nothing was stored" in refused("inform", "item", "--object", "{")
    assert "did you mean 'item'?" in refused("inform", "itme")


@pytest.mark.parametrize("words", [("tick",), ("pause",), ("namespaces",), ("migrate", "status")])
def test_what_only_looks_takes_no_dry_run(here: Here, golden_dsn: str, words: Any) -> None:
    assert here(*words, "--dry-run", "--dsn", golden_dsn).expect(2).out == ""


def test_a_tick_that_would_be_skipped_is_told(here: Here, golden_dsn: str) -> None:
    with psycopg.connect(golden_dsn, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(11)")
        words = ("tick", "clean", "--dry-run", "--dsn", golden_dsn)
        assert here(*words).expect(0).out == "clean: would be skipped, lock busy\n"
        assert here(*words, "-o", "json").expect(0).json()["outcome"] == "skipped"
    assert here(*words).expect(0).out == "clean: would run now\n"
