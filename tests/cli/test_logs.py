import json
import logging
import sys
from typing import Any

from delta_cli.cli.logs import JsonFormatter, TextFormatter
from delta_cli.engine.telling import Facts


def record(message: str, *, raised: Exception | None = None, **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("delta_cli.x", logging.WARNING, "", 0, message, None, None)
    if raised is not None:
        try:
            raise raised
        except Exception:
            made.exc_info = sys.exc_info()
    vars(made).update(fields)
    return made


def test_an_event_is_a_line_of_fields() -> None:
    line = TextFormatter().format(record("work failed", kind="item", attempt=1, error="two words"))
    time, rest = line.split(" ", 1)
    assert time.endswith("Z")
    assert rest == 'WARNING work failed kind=item attempt=1 error="two words"'


def test_an_event_keeps_its_name_where_its_message_says_more() -> None:
    made = record("work failed: %s", kind="item", error="no")
    made.args = (Facts("item/a", "attempt 1", "ValueError: no"),)
    assert made.getMessage() == "work failed: item/a, attempt 1: ValueError: no"
    assert TextFormatter().format(made).endswith("WARNING work failed kind=item error=no")
    assert json.loads(JsonFormatter().format(made))["event"] == "work failed"


def test_an_event_cannot_forge_a_line_or_drive_the_terminal() -> None:
    error = ValueError("x\n2026-01-01T00:00:00.000Z ERROR forged\x1b[31m")
    text = TextFormatter().format(record("a\nb", raised=error, id="c\nd\x1b]0;x\x07"))
    first, *others = text.splitlines()
    assert first.endswith("a\\nb id=c\\nd\\x1b]0;x\\x07")
    assert all(line.startswith("  | ") for line in others)
    assert "\x1b" not in text


def test_no_format_shows_a_password() -> None:
    dsn = "postgresql://user:hunter2@host/db"
    made = record(dsn, raised=ValueError(dsn), dsn=dsn, nested={"dsn": "password=hunter2"})
    assert "hunter2" not in TextFormatter().format(made)
    assert "hunter2" not in JsonFormatter().format(made)


def test_an_event_as_json_keeps_its_values() -> None:
    value = json.loads(JsonFormatter().format(record("event", count=3, text="a\nb\u202e")))
    assert (value["level"], value["event"], value["count"]) == ("warning", "event", 3)
    assert value["text"] == "a\nb\u202e"
