"""How far something is: a bar on a terminal, JSON lines under -o jsonl, else nothing."""

import json

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


def test_a_terminal_shows_a_bar(delta: CommandLine, inform: Inform) -> None:
    inform("a", "b")
    with delta.terminal("delete", "item", "--all", "--yes", "-o", "jsonl") as terminal:
        code, shown = terminal.end()
    assert (code, "2/2" in shown) == (0, True)
    assert '"progress"' not in shown
