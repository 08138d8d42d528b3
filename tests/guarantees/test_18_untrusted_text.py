"""Ids, errors and objects of somebody who would like to drive the reader's terminal."""

import asyncio
import csv
import io
import json
from pathlib import Path

import psycopg
import pytest

from delta_cli import Client, Config
from delta_cli.engine.objects import encode_raw
from tests.cli.conftest import Here
from tests.support.command_line import CommandLine

#: Escape sequences, a title, a hyperlink, Rich markup, lines, bidi, invisible and wide characters.
HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07\x1b]8;;http://evil\x1b\\\x9b31m[bold red]x[/bold red][/x]"
    "\r\n\t\v\x85\u2028error: forged\u202edetrever\u2066\u200b\u2060\ufeff\U000e0041日本語`|*_"
)
LONG = HOSTILE + "long " * 20_000
ID = HOSTILE[:250]
FORMATS = ("table", "markdown", "csv", "json", "jsonl")
LISTEN_ON = ("subscribe", "--since", "0", "--no-follow")
GET = ("get", "item", ID)
LIST = ("list",)


@pytest.fixture
def delta(dsn: str, here: Here, monkeypatch: pytest.MonkeyPatch) -> Here:
    """`delta` on a database with one resource that is hostile in all that it can be."""
    asyncio.run(store(dsn))
    monkeypatch.setenv("DELTA_DSN", dsn)
    return here


async def store(dsn: str) -> None:
    value = {"id": ID, HOSTILE: {"deep": [LONG]}}
    async with Client(dsn, Config()) as client:
        result = await client.inform(encode_raw("item", ID, value))
    error = {"attempt": 1, "at": "2026-01-01T00:00:00Z", "error": HOSTILE, "message": LONG}
    with psycopg.connect(dsn, options="-c search_path=delta") as connection:
        connection.execute(
            "update delta_resource set errors = %s::jsonb, last_synced_object = %s::jsonb,"
            " synced_at = now(), synced_generation = 1",
            [json.dumps([error]), json.dumps({"id": HOSTILE})],
        )
        for text in (HOSTILE, LONG):
            connection.execute(
                "insert into delta_event (category, resource_id, namespace, kind, object_id,"
                " state, attempt, max_attempts, generation, sync_count, error, actor)"
                " values ('object_failed', %s, 'default', 'item', %s, 'failed', 1, 10, 1, 0, %s,"
                " %s)",
                [result.row.id, ID, text, HOSTILE],
            )


def test_no_character_that_a_terminal_obeys_comes_out_in_any_format(delta: Here) -> None:
    for words in (LISTEN_ON, GET, LIST):
        for form in FORMATS:
            out = delta(*words, "-o", form).expect(0).out
            obeyed = {one for one in out if not one.isprintable() and one not in "\n\u3000"}
            assert obeyed == set(), (words, form)
            assert "owned" in out
            assert "detrever" in out


@pytest.mark.parametrize("words", [LISTEN_ON, GET, LIST], ids=["subscribe", "get", "list"])
def test_a_terminal_gets_no_escape_sequence_but_our_own_colours(
    dsn: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    asyncio.run(store(dsn))
    code, shown = CommandLine(tmp_path, {"DELTA_DSN": dsn}).on_terminal(*words)
    assert code == 0
    ours = shown.replace("\x1b[33mfailed\x1b[0m", "failed")
    assert {one for one in ours if not one.isprintable() and one != "\n"} == set()
    assert not any(line.startswith("error:") for line in ours.splitlines())


@pytest.mark.parametrize(("words", "rows"), [(LISTEN_ON, 2), (LIST, 1)], ids=["events", "list"])
def test_every_row_of_a_table_is_one_line_of_bounded_length(
    delta: Here, words: tuple[str, ...], rows: int
) -> None:
    lines = delta(*words).expect(0).out.splitlines()
    head = 1 if words is LISTEN_ON else 2
    assert len(lines) == head + rows
    assert max(map(len, lines)) < 2_000
    markdown = delta(*words, "-o", "markdown").expect(0).out.splitlines()
    assert len(markdown) == 2 + rows
    # A bar of the text's own begins no cell.
    assert len({line.replace("\\|", "").count("|") for line in markdown}) == 1


def test_the_tables_of_get_have_a_line_an_item(delta: Here) -> None:
    out = delta(*GET).expect(0).out
    assert len(out.splitlines()) < 60
    assert max(map(len, out.splitlines())) < 4_000


def test_csv_has_a_line_a_row(delta: Here) -> None:
    out = delta(*LISTEN_ON, "-o", "csv").expect(0).out
    assert len(out.splitlines()) == 3
    header, *rows = csv.reader(io.StringIO(out))
    assert [len(row) for row in rows] == [len(header)] * 2


def test_json_keeps_every_text_as_it_is(delta: Here) -> None:
    short, long = delta(*LISTEN_ON, "-o", "jsonl").expect(0).lines()
    assert (short["object_id"], short["error"], short["actor"]) == (ID, HOSTILE, HOSTILE)
    assert long["error"] == LONG
    resource = delta(*GET, "-o", "json").expect(0).json()
    assert resource["object"] == {"id": ID, HOSTILE: {"deep": [LONG]}}
    assert resource["errors"][0]["message"] == LONG
    assert [event["error"] for event in resource["timeline"]] == [HOSTILE, LONG]
    (listed,) = delta(*LIST, "-o", "json").expect(0).json()
    assert listed["object_id"] == ID


def test_what_is_said_on_stderr_of_hostile_words_is_harmless_too(delta: Here) -> None:
    for words in (("get", "item", f"no such {HOSTILE}"), ("subscribe", "--name", HOSTILE)):
        done = delta(*words)
        assert done.code != 0
        assert {one for one in done.err if not one.isprintable() and one != "\n"} == set()
        assert "error: forged" not in [line.strip() for line in done.err.splitlines()]
