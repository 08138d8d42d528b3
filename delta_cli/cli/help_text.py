"""How help is laid out: plain text, options under their panels, examples as they are typed.

Plain, because laying it out with rich takes longer than most commands.
"""

import re
from typing import Any, Final

from typer.core import TyperCommand, TyperGroup

_TYPE: Final = re.compile(r"<(.*)>$")
_WORDS: Final = {"str": "TEXT", "int": "N", "int range": "N", "float": "N", "path": "PATH"}
_SUMMARY: Final = 200


class PlainCommand(TyperCommand):
    """A command with plain help."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "rich_markup_mode": None})

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments and options, each under its panel."""
        write_options(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The examples, line by line."""
        write_lines(self.epilog, formatter)


class PlainGroup(TyperGroup):
    """A group of commands with plain help."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "rich_markup_mode": None})

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The options, then the commands."""
        write_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands with their whole summaries."""
        rows = [(name, one.get_short_help_str(_SUMMARY)) for name, one in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The epilog, line by line."""
        write_lines(self.epilog, formatter)


def write_options(command: TyperCommand | TyperGroup, ctx: Any, formatter: Any) -> None:
    """What a command takes, each under its panel."""
    panels: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            record = (_typed(record[0]), record[1])
            own = "Arguments" if parameter.param_type_name == "argument" else "Options"
            panel = getattr(parameter, "rich_help_panel", None) or own
            panels.setdefault(panel, []).append(record)
    for title, records in panels.items():
        with formatter.section(title):
            formatter.write_dl(records)


def _typed(text: str) -> str:
    """What an option takes, as people write it: `--state failed|synced`, not a type of Python."""
    found = _TYPE.search(text)
    if found is None:
        return text
    inner = found[1].removeprefix("list[").removesuffix("]")
    before = text[: found.start()].rstrip()
    if before.isupper():  # an argument has said its name
        return f"{before} {inner}" if "|" in inner else before
    return f"{before} {_WORDS.get(inner, inner)}"


def write_lines(text: str | None, formatter: Any) -> None:
    """Text whose lines stay as they are; empty ones between are left out."""
    if text:
        formatter.write_paragraph()
        for line in text.splitlines():
            if line.strip():
                formatter.write(f"{line}\n")
