"""`delta help TOPIC`: what holds for all commands."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from delta_cli.cli import output
from delta_cli.cli.command import command
from delta_cli.cli.exit_codes import MEANINGS
from delta_cli.cli.settings import Settings
from delta_cli.cli.shapes import described


class Topic(StrEnum):
    """What can be explained."""

    EXIT_CODES = "exit-codes"
    FORMATS = "formats"
    SHAPES = "shapes"
    ENVIRONMENT = "environment"


_FORMATS: Final = """\
Every command that prints data takes -o/--output. Data goes to stdout, everything else to stderr.

  table     for people; a narrow terminal drops columns, a pipe has them all (default)
  json      one array of objects for a list, one object for a single thing
  jsonl     one object a line, each written at once: for pipes that run on
  csv       a header and rows, nested values as JSON
  markdown  a table to paste

In JSON, names are those of the database's columns, times are UTC in RFC 3339, durations end in _ms
or _s, and what is absent is null. Names are only ever added; `delta version -o json` tells the
version of the shapes as output_shape. The format never depends on whether stdout is a terminal.
`delta help shapes` names each command's fields with their types.

--watch draws the list anew on a terminal. In a pipe, each look that differs from the one before is
appended; in jsonl a line per record, with the time of the look as snapshot_at (a look at nothing is
one line with that time alone), except of status, whose object has the time as at.

With jsonl, what takes long tells on stderr how far it is, as {"progress": ..., "done": 3, "total":
5}, where stderr is not a terminal; total is null where nobody knows."""

_SHAPES: Final = """\
What commands print under -o json. The types are int, number, string, bool, time (RFC 3339, UTC) and
json (any value); ? may be null, [int] is an array, {int} an object of such values by name."""

_ENVIRONMENT: Final = """\
A flag beats the environment, which beats delta.toml or [tool.delta] in pyproject.toml.

  DELTA_DSN         the database; else DATABASE_URL, else libpq's PG* variables
  DELTA_APP         the application, as module:config or a file
  DELTA_SCHEMA      the schema of Delta's tables
  DELTA_PROFILE     a profile of the file: [profiles.NAME] with app, dsn, schema,
                    read_only and protected
  DELTA_READ_ONLY   1: delta dash may not act
  DELTA_ASCII       1: delta dash draws with ASCII only
  DELTA_THEME       the theme of delta dash, as nord
  DELTA_KEYS        other keys in delta dash, as retry=u
  DELTA_PAGER       what v shows texts in, in delta dash; else PAGER
  DELTA_DATA_DIR    where the embedded Postgres keeps its data
  NO_COLOR          no colours
  COLUMNS           how wide tables may be

libpq's own variables hold too: PGPASSFILE, PGSERVICE, PGSSLMODE and the like."""


def explain(
    _settings: Settings,
    topic: Annotated[Topic | None, typer.Argument(help="What to explain.")] = None,
) -> None:
    """Explain what holds for all commands: exit-codes, formats, shapes or environment."""
    match topic:
        case Topic.EXIT_CODES:
            lines = [f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items()]
            output.write_text("\n".join(["The exit status; scripts may rely on it.", "", *lines]))
        case Topic.FORMATS:
            output.write_text(_FORMATS)
        case Topic.SHAPES:
            output.write_text(f"{_SHAPES}\n\n{described()}")
        case Topic.ENVIRONMENT:
            output.write_text(_ENVIRONMENT)
        case None:
            topics = ", ".join(Topic)
            output.write_text(f"Topics: {topics}. Of a command: delta COMMAND --help.")


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(app, "help", examples=["delta help exit-codes", "delta help formats"])(explain)
