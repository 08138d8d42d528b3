"""`delta demo`: what it copies, what it tells, and that it leaves all else alone."""

import asyncio
import os
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from delta_cli import Client, Config
from delta_cli.engine.control import ControlPlane
from delta_cli.engine.model.pause import PauseScope
from delta_cli.examples.mirror import namespace_of
from tests.cli.conftest import Here, Inform
from tests.support.command_line import CommandLine

SCHEMA = "delta_demo"
LONG_AGO = 10**9


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder `from`, which holds the files `a` and `b`; the sample's is here too."""
    monkeypatch.setenv("DELTA_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "from").mkdir()
    for name in ("a", "b"):
        (tmp_path / "from" / name).write_text(name)


def demo(delta: Here, source: str = "from", target: str = "to", code: int = 0) -> Any:
    words = ("demo", "--source", source, "--target", target, "-o", "json")
    return delta(*words).expect(code).json()


def contents(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


def counts(summary: Any) -> tuple[int, int, int, int]:
    return tuple(summary[name] for name in ("files", "copied", "compared", "removed"))


def tables(dsn: str, schema: str) -> dict[str, list[Any]]:
    """All rows of a schema, by table."""
    with psycopg.connect(dsn) as connection:
        names = connection.execute(
            "select tablename from pg_tables where schemaname = %s", [schema]
        ).fetchall()
        return {
            name: connection.execute(
                sql.SQL("select one::text from {} as one order by 1").format(
                    sql.Identifier(schema, name)
                )
            ).fetchall()
            for (name,) in names
        }


async def pause(dsn: str, scope: PauseScope, name: str) -> None:
    async with Client(dsn, Config(schema=SCHEMA)) as client:
        control: ControlPlane = client.control
        await control.pause(scope, name)


def test_it_mirrors_its_sample_and_again_does_nothing(delta: CommandLine) -> None:
    first = delta("demo", "-o", "json").expect(0).json()
    assert (counts(first), first["failed"]) == ((200, 200, 0, 0), 0)
    source, target = Path(first["source"]), Path(first["target"])
    files = [file.relative_to(source) for file in source.rglob("*") if file.is_file()]
    assert len(files) == 200
    assert all((target / file).read_bytes() == (source / file).read_bytes() for file in files)
    assert counts(delta("demo", "-o", "json").expect(0).json()) == (200, 0, 0, 0)


def test_a_file_that_vanishes_and_comes_back_is_removed_and_mirrored_again(
    quick: Here, tmp_path: Path
) -> None:
    demo(quick)
    (tmp_path / "from" / "a").rename(tmp_path / "away")
    gone = demo(quick)
    assert (counts(gone), gone["states"]) == ((1, 0, 0, 1), {"synced": 1, "deleted": 1})
    assert contents(tmp_path / "to") == {"b": "b"}
    (tmp_path / "away").rename(tmp_path / "from" / "a")  # it is as it was: same time, same size
    back = demo(quick)
    assert (counts(back), back["states"]) == ((2, 1, 0, 0), {"synced": 2})
    assert contents(tmp_path / "to") == {"a": "a", "b": "b"}


def test_another_target_or_source_is_mirrored_whole(quick: Here, tmp_path: Path) -> None:
    demo(quick)
    assert counts(demo(quick, target="to2")) == (2, 2, 0, 0)
    assert contents(tmp_path / "to2") == {"a": "a", "b": "b"}
    (tmp_path / "from3").mkdir()
    (tmp_path / "from3" / "a").write_text("another")
    assert counts(demo(quick, source="from3", target="to3")) == (1, 1, 0, 0)
    assert contents(tmp_path / "to3") == {"a": "another"}
    # None of them has touched the first.
    assert contents(tmp_path / "to") == {"a": "a", "b": "b"}
    first = demo(quick)
    assert (counts(first), first["states"]) == ((2, 0, 0, 0), {"synced": 2})


def test_what_was_changed_or_lost_in_the_target_is_copied_again(
    quick: Here, tmp_path: Path
) -> None:
    demo(quick)
    (tmp_path / "to" / "a").write_text("damaged")
    (tmp_path / "to" / "b").unlink()
    assert quick("demo", "--source", "from", "--target", "to", "--dry-run", "-o", "json").json()[
        "copied"
    ] == (2)
    assert counts(demo(quick)) == (2, 2, 0, 0)
    assert contents(tmp_path / "to") == {"a": "a", "b": "b"}


def test_only_what_was_copied_counts_as_copied(quick: Here, tmp_path: Path) -> None:
    demo(quick)
    before = (tmp_path / "to" / "a").stat().st_ino
    os.utime(tmp_path / "from" / "a", (LONG_AGO, LONG_AGO))
    words = ("--kind", "file", "--schema", SCHEMA, "--since", "0", "--no-follow", "-o", "jsonl")
    assert counts(demo(quick)) == (2, 0, 1, 0)
    worked = [event["object_id"] for event in quick("subscribe", *words).expect(0).lines()]
    assert sorted(worked) == ["a", "a", "b"]
    after = (tmp_path / "to" / "a").stat()
    assert (after.st_ino, after.st_mtime) == (before, LONG_AGO)


def test_nothing_of_the_users_is_touched_or_shown(quick: Here, inform: Inform, dsn: str) -> None:
    inform("a", "b")
    quick("namespaces", "set", "default", "--deleted-retention", "7d").expect(0)
    listed, before = quick("list", "-o", "json").out, tables(dsn, "delta")
    demo(quick)
    assert tables(dsn, "delta") == before
    assert quick("list", "-o", "json").out == listed
    rows = quick("list", "file", "--schema", SCHEMA, "-o", "json").expect(0).json()
    assert [(row["object_id"], row["state"]) for row in rows] == [("a", "synced"), ("b", "synced")]
    status = quick("status", "--schema", SCHEMA, "-o", "json").expect(0).json()
    assert status["due"] == 0
    quick("doctor", "--schema", SCHEMA).expect(0)


def test_nothing_falls_due_while_nobody_works(quick: Here) -> None:
    namespace = demo(quick)["namespace"]
    kept = quick("namespaces", "--schema", SCHEMA, "-o", "json").expect(0).json()
    assert {one["name"]: one["expiry_ttl_s"] for one in kept} == {namespace: None}
    for tick in ("expire", "inform", "clean"):
        quick("tick", tick, "--schema", SCHEMA).expect(0)
    status = quick("status", "--schema", SCHEMA, "-o", "json").expect(0).json()
    assert (status["due"], status["states"]["synced"]) == (0, 2)
    assert quick("informs", "--schema", SCHEMA, "-o", "json").expect(0).json() == []


def test_a_file_that_cannot_be_mirrored_is_told_and_tried_by_the_next_run(
    quick: Here, tmp_path: Path
) -> None:
    (tmp_path / "to" / "a" / "in the way").mkdir(parents=True)
    summary = demo(quick, code=8)
    assert (counts(summary), summary["failed"]) == ((2, 1, 0, 0), 1)
    (tmp_path / "to" / "a" / "in the way").rmdir()
    (tmp_path / "to" / "a").rmdir()
    (tmp_path / "from" / "a").chmod(0o600)  # changed too, and worked once all the same
    again = demo(quick)
    assert (counts(again), again["states"]) == ((2, 1, 0, 0), {"synced": 2})


def test_a_name_that_is_not_text_is_told(quick: Here, tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path / "from") + b"/m\xff")).write_text("no")
    done = quick("demo", "--source", "from", "--target", "to", "-o", "json").expect(8)
    assert (counts(done.json()), done.json()["refused"]) == ((3, 2, 0, 0), 1)
    assert "a file is not mirrored: id of kind 'file' contains a lone surrogate" in done.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root lists every folder")
def test_a_folder_that_cannot_be_listed_fails_it_after_all_the_others(
    quick: Here, tmp_path: Path
) -> None:
    (tmp_path / "from" / "locked").mkdir(mode=0)
    done = quick("demo", "--source", "from", "--target", "to", "-o", "json").expect(1)
    assert (counts(done.json()), "locked" in done.err) == ((2, 2, 0, 0), True)


def test_a_mirror_that_is_paused_is_no_success(quick: Here, tmp_path: Path, dsn: str) -> None:
    namespace = demo(quick)["namespace"]
    (tmp_path / "from" / "c").write_text("c")
    words = ("demo", "--source", "from", "--target", "to", "-o", "json")
    asyncio.run(pause(dsn, PauseScope.NAMESPACE, namespace))
    done = quick(*words).expect(6)
    assert (done.out, f"namespace '{namespace}' is paused" in done.err) == ("", True)


def test_the_summary_tells_where_its_resources_are(quick: Here, tmp_path: Path) -> None:
    words = ("demo", "--source", "from", "--target", "to", "--schema", "mine")
    done = quick(*words, "-o", "json").expect(0)
    summary = done.json()
    assert (summary["schema"], summary["namespace"]) == (
        "mine_demo",
        namespace_of(tmp_path / "from", tmp_path / "to"),
    )
    assert "delta status --schema mine_demo" in done.err
    assert quick("list", "-o", "json").expect(0).json() == []


def test_it_needs_a_folder_and_another(quick: Here) -> None:
    assert "there is no folder" in quick("demo", "--source", "nothing").expect(2).err
    assert "lie in each other" in quick("demo", "--source", ".", "--target", "to").expect(2).err


def test_the_example_mirrors_into_another_target_too(delta: CommandLine, tmp_path: Path) -> None:
    words = ("run", "--app", "delta_cli.examples.mirror:config", "--drain", "-o", "json")
    for target in ("to", "to2"):
        folders = {"MIRROR_SOURCE": "from", "MIRROR_TARGET": target}
        assert delta(*words, environ=folders).expect(0).json()["synced"] == 2
        assert contents(tmp_path / target) == {"a": "a", "b": "b"}
