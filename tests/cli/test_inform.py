"""Informing from the command line: given objects, files of them, and runs of an informer."""

import json
import signal
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.cli.conftest import Here, Inform, Rows
from tests.support.command_line import CommandLine, ended
from tests.support.embedded import until


def lines_of(count: int) -> str:
    return "".join(json.dumps({"id": f"item-{number}"}) + "\n" for number in range(count))


def looks_at_a_run(dsn: str) -> bool:
    """Whether somebody has looked whether an inform run has ended."""
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "select from pg_stat_activity where datname = current_database()"
            " and query like '%from delta_inform%where id = %' and pid <> pg_backend_pid()"
        )
        return found.fetchone() is not None


def test_objects_are_stored_without_an_application(quick: Here, rows: Rows) -> None:
    first, second = '{"id": "a", "n": 1}', '{"id": 2, "n": [1, null]}'
    done = quick("inform", "item", "--object", first, "--object", second, "-o", "json").expect(0)
    assert done.json() == {
        "seen": 2,
        "created": 2,
        "updated": 0,
        "unchanged": 0,
        "stale": 0,
        "skipped": 0,
        "refused": 0,
    }
    assert {key: row["object"] for key, row in rows().items()} == {
        "a": {"id": "a", "n": 1},
        "2": {"id": 2, "n": [1, None]},
    }


def test_the_id_is_taken_from_the_named_field(quick: Here, rows: Rows) -> None:
    quick("inform", "item", "--object", '{"email": "bob"}', "--id-field", "email").expect(0)
    assert list(rows()) == ["bob"]


def test_options_are_stored_with_the_objects(quick: Here, rows: Rows) -> None:
    options = ("-n", "eu", "--tag", "vip", "--tag", "new", "--priority", "3", "--max-attempts", "7")
    quick("inform", "item", "--object", '{"id": "a"}', *options).expect(0)
    row = rows()["a"]
    assert (row["namespace"], row["tags"], row["priority"], row["max_attempts"]) == (
        "eu",
        ["vip", "new"],
        3,
        7,
    )


def test_a_file_and_stdin_give_an_object_a_line(
    delta: CommandLine, rows: Rows, tmp_path: Path
) -> None:
    (tmp_path / "items.jsonl").write_text(lines_of(2_500) + "\n  \n")
    done = delta("inform", "item", "--file", "items.jsonl", "-o", "json").expect(0)
    assert done.json()["created"] == 2_500
    again = delta("inform", "item", "--file", "-", "-o", "json", stdin=lines_of(3)).expect(0)
    for stdin in (("-",), ("--object", "-")):
        done = delta("inform", "item", *stdin, "-o", "json", stdin=lines_of(3)).expect(0)
        assert done.json() == again.json()
    delta("inform", "item", "other").expect(2)
    assert again.json()["unchanged"] == 3
    assert len(rows()) == 2_500


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'{"id": "a"', "not JSON"),
        (b"nonsense", "not JSON"),
        (b'["a"]', "a JSON object is needed, got an array"),
        (b"null", "got null"),
        (b'{"name": "a"}', "no field 'id'"),
        (b'{"id": null}', "id of kind 'item' is None"),
        (b'{"id": true}', "id of kind 'item'"),
        (b'{"id": ""}', "is empty"),
        (b'{"id": "%s"}' % (b"x" * 255), "255 characters"),
        (b'{"id": "a\\u0000b"}', "NUL"),
        (b'{"id": "a", "name": "b\\u0000"}', "field 'name'"),
        (b'{"id": "a", "n": NaN}', "field 'n'"),
        (b'{"id": "a", "name": "\\ud800"}', "field 'name'"),
        (b'{"id": "a", "name": "\xff"}', "not UTF-8"),
        (b'{"id": "a", "deep": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested"),
        (b'{"id": "a", "big": "%s"}' % (b"x" * 1_100_000), "the limit is 1,048,576 bytes"),
        (b'{"id": "a", "big": "%s"}' % (b"x" * 7_000_000), "longer than any object may be"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_line_is_named_and_nothing_is_stored(
    quick: Here, rows: Rows, tmp_path: Path, line: bytes, told: str
) -> None:
    text = lines_of(16).encode() + line + b"\n" + lines_of(3).encode()
    (tmp_path / "items.jsonl").write_bytes(text)
    done = quick("inform", "item", "--file", "items.jsonl").expect(1)
    assert done.err.startswith("error: line 17: ")
    assert told in done.err
    assert "nothing was stored" in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert rows() == {}


def test_many_good_lines_before_a_broken_one_are_not_stored_either(
    delta: CommandLine, rows: Rows
) -> None:
    done = delta("inform", "item", "--file", "-", stdin=lines_of(3_000) + "broken\n").expect(1)
    assert "line 3001: " in done.err
    assert rows() == {}


def test_broken_lines_are_passed_over_on_request(delta: CommandLine, rows: Rows) -> None:
    stdin = '{"id": "a"}\nbroken\n{"id": "b"}\n{}\n'
    words = ("inform", "item", "--file", "-", "--continue-on-error", "-o", "json")
    done = delta(*words, stdin=stdin).expect(1)
    counts = done.json()
    assert (counts["seen"], counts["created"], counts["refused"]) == (4, 2, 2)
    assert "warning: line 2: not JSON" in done.err
    assert "warning: line 4: " in done.err
    assert list(rows()) == ["a", "b"]


@pytest.mark.parametrize("more", [(), ("--continue-on-error",)])
def test_a_dry_run_counts_ids_that_come_again_as_the_run_does(
    shop: CommandLine, rows: Rows, more: tuple[str, ...]
) -> None:
    shop("inform", "item", "--object", '{"id": "item-1"}').expect(0)
    before = rows()
    again = '{"id": "item-7"}\n{"id": "item-8", "price": 3}\n'  # as it was, and changed
    words = ("inform", "item", "--file", "-", "-o", "json", *more)
    rehearsed = shop(*words, "--dry-run", stdin=lines_of(1_000) + again).expect(0).json()
    assert rows() == before
    assert rehearsed == shop(*words, stdin=lines_of(1_000) + again).expect(0).json()
    counts = {"created": 999, "updated": 1, "unchanged": 2}
    assert {name: rehearsed[name] for name in counts} == counts


def test_the_class_of_the_kind_checks_the_objects(shop: CommandLine, rows: Rows) -> None:
    done = shop("inform", "item", "--object", '{"id": "a", "price": "dear"}').expect(1)
    assert "field 'price'" in done.err
    assert rows() == {}
    shop("inform", "item", "--object", '{"id": "a", "price": 3}').expect(0)
    assert rows()["a"]["object"] == {"id": "a", "name": "good", "price": 3}


def test_refusals_of_a_class_are_counted_once(shop: CommandLine, rows: Rows) -> None:
    stdin = '{"id": "a"}\n{"id": ""}\n{"id": "b", "price": "dear"}\n'
    words = ("inform", "item", "--file", "-", "--continue-on-error", "-o", "json")
    counts = shop(*words, stdin=stdin).expect(1).json()
    assert (counts["seen"], counts["created"], counts["refused"]) == (3, 1, 2)


def test_a_file_may_begin_with_the_mark_of_its_encoding(
    quick: Here, rows: Rows, tmp_path: Path
) -> None:
    (tmp_path / "one.jsonl").write_text('\ufeff{"id": "a"}\n{"id": "b"}\n')
    (tmp_path / "two.jsonl").write_text('\ufeff{"id": "c"}')
    quick("inform", "item", "-f", "one.jsonl", "-f", "two.jsonl").expect(0)
    assert set(rows()) == {"a", "b", "c"}


def test_several_files_are_taken_in_turn_and_named_with_their_lines(
    quick: Here, rows: Rows, tmp_path: Path
) -> None:
    (tmp_path / "one.jsonl").write_text('{"id": "a"}\n{"id": "b"}\n')
    (tmp_path / "two.jsonl").write_text('{"id": "c"}\n')
    quick("inform", "item", "-f", "one.jsonl", "-f", "two.jsonl").expect(0)
    assert set(rows()) == {"a", "b", "c"}
    (tmp_path / "two.jsonl").write_text('{"id": "d"}\nbroken\n')
    done = quick("inform", "item", "-f", "one.jsonl", "-f", "two.jsonl").expect(1)
    assert "error: two.jsonl line 2: not JSON" in done.err
    assert set(rows()) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("words", "told", "code"),
    [
        (("--file", "-", "--file", "-"), "--file - is given twice", 2),
        (("--file", "missing.jsonl"), "missing.jsonl", 2),
        (("--file", "."), "", 2),
        (("--object", "{}", "-n", "Bad Name"), "namespace", 2),
        (("--object", '{"id": "a"}', "--tag", "-"), "tag", 2),
        (("--object", '{"id": "a"}', *("--tag", "vip") * 101), "at most 100 tags", 2),
        (("--object", '{"id": "a"}', "--priority", "9"), "error: --priority must be", 2),
        (("--object", '{"id": "a"}', "--priority", "9"), "hint: 1 comes first", 2),
        (("--object", '{"id": "a"}', "--max-attempts", "0"), "error: --max-attempts must", 2),
        (("--object", '{"id": ""}'), "empty", 1),
        (("--object", '[{"id": "a"}]'), "hint: give one object a line, without an array", 1),
    ],
)
def test_what_cannot_be_is_told_and_changes_nothing(
    quick: Here, rows: Rows, words: tuple[str, ...], told: str, code: int
) -> None:
    done = quick("inform", "item", *words).expect(code)
    assert told in done.err
    assert rows() == {}


def test_a_kind_that_cannot_be_is_refused(delta: CommandLine) -> None:
    assert "kind 'no kind!'" in delta("inform", "no kind!").expect(2).err


def test_an_inform_that_waits_for_stdin_ends_on_a_signal(delta: CommandLine, rows: Rows) -> None:
    with delta.started("inform", "item", "--file", "-", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(lines_of(3))
        process.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        process.send_signal(signal.SIGTERM)
        ended(process).expect(143)
    assert rows() == {}


# Runs of an informer


def test_a_kind_without_a_controller_has_no_informer(delta: CommandLine) -> None:
    assert "'nothing'" in delta("inform", "nothing").expect(5).err


def test_a_run_is_queued(shop: CommandLine) -> None:
    words = ("inform", "item", "--label", "color=red", "--limit", "5", "--order-by", "id")
    run = shop(*words, "--after", "2026-01-01T00:00:00Z", "-o", "json").expect(0).json()
    assert run["state"] == "queued"
    assert run["labels"] == {"color": "red"}
    assert (run["limit"], run["order_by"], run["after"]) == (5, "id", "2026-01-01T00:00:00Z")


def test_a_run_in_the_foreground_works_what_it_reports(shop: CommandLine, rows: Rows) -> None:
    run = shop("inform", "item", "--foreground", "--limit", "2", "-o", "json").expect(0).json()
    assert (run["state"], run["seen"], run["created"]) == ("succeeded", 2, 2)
    assert {row["state"] for row in rows().values()} == {"synced"}


def test_a_run_that_fails_exits_1(shop: CommandLine) -> None:
    done = shop("inform", "item", "--foreground", "--label", "fail=yes", "-o", "json").expect(1)
    assert done.json()["state"] == "failed"
    assert "the shop is closed" in done.err


@pytest.mark.parametrize("name", ["bad", "failing"])
def test_a_run_in_the_foreground_exits_8_when_a_resource_failed(
    shop: CommandLine, name: str
) -> None:
    label = f"name={name}"
    done = shop("inform", "item", "--foreground", "--label", label, "-o", "json").expect(8)
    assert (done.json()["state"], done.json()["error"]) == ("succeeded", None)
    assert "warning: some resources failed; see: delta list item --state failed" in done.err


def test_what_failed_before_is_not_of_a_run_in_the_foreground(
    shop: CommandLine, inform: Inform
) -> None:
    inform(old="bad")
    shop("run", "--drain").expect(8)
    shop("inform", "item", "--foreground").expect(0)


def test_a_run_that_refuses_some_objects_says_why_wherever_it_is_shown(shop: CommandLine) -> None:
    told = "1 of 3 objects refused, so the watermark stays; the first: id of kind 'item' is empty"
    words = ("inform", "item", "--foreground", "--label", "refused=1", "-o", "json")
    done = shop(*words).expect(0)
    assert (done.json()["state"], done.json()["refused"]) == ("succeeded", 1)
    assert f"warning: InvalidObject: {told}" in done.err
    assert told in shop("informs", "-o", "csv").expect(0).out


def test_a_run_that_refuses_everything_exits_1(shop: CommandLine) -> None:
    words = ("inform", "item", "--foreground", "--label", "refused=3", "-o", "json")
    done = shop(*words).expect(1)
    assert (done.json()["state"], done.json()["refused"]) == ("failed", 3)
    assert "3 of 3 objects refused" in done.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_in_the_foreground_and_says_so(
    shop: CommandLine, number: signal.Signals, code: int
) -> None:
    with shop.started("inform", "item", "--foreground", "--label", "endless=yes") as process:
        until((shop.folder / "begun").exists)
        process.send_signal(number)
        done = ended(process).expect(code)
    (run,) = shop("informs", "-o", "json").json()
    assert (run["state"], run["error"]) == ("failed", "interrupted")
    assert f"interrupted component=client kind=item run={run['id']} state=failed" in done.err


def test_a_signal_while_waiting_leaves_the_run_to_the_fleet_and_says_so(
    shop: CommandLine, dsn: str
) -> None:
    with shop.started("inform", "item", "--wait") as process:
        until(lambda: looks_at_a_run(dsn))
        process.send_signal(signal.SIGINT)
        done = ended(process).expect(130)
    (run,) = shop("informs", "-o", "json").json()
    assert run["state"] == "queued"
    assert f"note: inform run {run['id']} goes on without you" in done.err


def test_waiting_for_a_run_ends_in_time(shop: CommandLine) -> None:
    done = shop("inform", "item", "--wait", "--timeout", "300ms").expect(4)
    assert "still queued" in done.err


def test_waiting_for_a_run_ends_when_a_worker_has_run_it(shop: CommandLine) -> None:
    shop("inform", "item", "--object", '{"id": "a"}').expect(0)
    with shop.started("run"):
        run = shop("inform", "item", "--wait", "-o", "json").expect(0).json()
    assert run["state"] == "succeeded"
