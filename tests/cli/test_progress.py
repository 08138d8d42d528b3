"""How far something is: a bar on a terminal, JSON lines under -o jsonl, else nothing."""

import json
from pathlib import Path

import pytest

from delta_cli.cli import shapes
from tests.cli.conftest import Here, Inform
from tests.support.command_line import CommandLine

OBJECTS = "".join(json.dumps({"id": str(number)}) + "\n" for number in range(2_500))


def progress_in(text: str) -> list[dict[str, object]]:
    told = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert all(list(one) == list(shapes.PROGRESS) for one in told)
    return told


def test_inform_from_a_file_tells_how_far_it_is(delta: CommandLine) -> None:
    words = ("inform", "item", "--file", "-")
    done = delta(*words, "-o", "jsonl", stdin=OBJECTS).expect(0)
    told = progress_in(done.err)
    assert told[-1] == {"progress": "informing", "done": 2_500, "total": None}
    assert delta(*words, stdin=OBJECTS).expect(0).err == ""


def test_a_repair_of_many_tells_how_far_it_is(quick: Here, inform: Inform) -> None:
    inform(*map(str, range(600)))
    done = quick("delete", "item", *map(str, range(600)), "--yes", "-o", "jsonl").expect(0)
    assert progress_in(done.err)[-1] == {"progress": "delete", "done": 600, "total": 600}
    again = quick("retry", "item", "--all", "--yes").expect(0)
    assert "{" not in again.err


def test_a_migration_tells_how_far_it_is(here: Here, empty_dsn: str) -> None:
    done = here("migrate", "-o", "jsonl", environ={"DELTA_DSN": empty_dsn}).expect(0)
    last = progress_in(done.err)[-1]
    assert (last["progress"], last["done"]) == ("migrating", last["total"])
    assert last["total"] == len(done.lines())


def test_a_drain_tells_how_far_it_is_and_what_it_did(shop: CommandLine, inform: Inform) -> None:
    inform("a", "b", c="bad")
    done = shop("run", "--drain", "--log-level", "error", "-o", "jsonl").expect(8)
    first, *_, last = progress_in(done.err)
    assert first == {"progress": "working", "done": 0, "total": 3}
    assert last == {"progress": "working", "done": 3, "total": 3}
    assert list(done.lines()[0]) == list(shapes.DRAINED)
    assert done.lines() == [{"synced": 2, "failed": 1, "deleted": 0, "returned": 0}]
    quiet = shop("run", "--drain", "--log-level", "error").expect(0)
    assert (quiet.out, quiet.err) == ("", "")
    assert "belongs to --drain" in shop("run", "-o", "json").expect(2).err


def test_processes_that_drain_tell_once_how_far_they_are_and_what_they_did(
    shop: CommandLine, inform: Inform
) -> None:
    inform(*map(str, range(20)))
    words = ("run", "--drain", "--processes", "2", "--log-level", "error")
    done = shop(*words, "-o", "jsonl").expect(0)
    assert done.lines() == [{"synced": 20, "failed": 0, "deleted": 0, "returned": 0}]
    first, *_, last = progress_in(done.err)
    assert first == {"progress": "working", "done": 0, "total": 20}
    assert last == {"progress": "working", "done": 20, "total": 20}
    quiet = shop(*words, "-o", "json").expect(0)
    assert (quiet.json()["synced"], quiet.err) == (0, "")


def test_the_demo_tells_how_far_it_is(delta: CommandLine) -> None:
    (delta.folder / "from").mkdir()
    (delta.folder / "from" / "file").write_text("content")
    words = ("demo", "--source", "from", "--target", "to")
    done = delta(*words, "-o", "jsonl").expect(0)
    assert progress_in(done.err)[-1] == {"progress": "mirroring", "done": 1, "total": 1}
    assert progress_in(delta(*words).expect(0).err) == []


@pytest.mark.parametrize(
    ("words", "label"),
    [
        (("delete", "item", "--all", "--yes"), "delete"),
        (("inform", "item", "--object", '{"id": "c"}'), "informing"),
        (("run", "--drain"), "working"),
        (("run", "--drain", "--processes", "2"), "working"),
        (("migrate", "--schema", "another"), "migrating"),
        (("demo", "--source", ".", "--target", "../mirror"), "mirroring"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_terminal_shows_a_bar(
    shop: CommandLine, inform: Inform, tmp_path: Path, words: tuple[str, ...], label: str
) -> None:
    inform("a", "b")
    shop.folder = tmp_path / "here"
    shop.folder.mkdir()
    form = ("-o", "jsonl")
    code, shown = shop.on_terminal(*words, *form)
    assert (code, label in shown, "━" in shown) == (0, True, True)
    assert '"progress"' not in shown


def test_a_bar_counts_to_the_end(delta: CommandLine, inform: Inform) -> None:
    inform("a", "b")
    code, shown = delta.on_terminal("delete", "item", "--all", "--yes")
    assert (code, "2/2" in shown) == (0, True)
