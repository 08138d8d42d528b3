"""`delta doctor`: what is wrong, and what to do about it."""

from collections.abc import Sequence

import typer

from delta_cli.cli import output, shapes
from delta_cli.cli.command import OutputOption, command
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.output import Format
from delta_cli.cli.session import open_database
from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import note

_COLUMNS = tuple(shapes.FINDING)


async def doctor(settings: Settings, output_format: OutputOption = Format.TABLE) -> ExitCode:
    """Examine the database, the fleet and the resources; exit 1 if there is a problem.

    Looks at the connection, the server, its clock and durability, connections left, a pooler, the
    schema, rights, LISTEN, dead rows, index bloat, workers, pauses, ticks, informers and stuck
    resources. Changes nothing.
    """
    from delta_cli.engine.doctor import Verdict, all_findings

    async with open_database(settings) as database:
        findings = await all_findings(database)
    records = [
        {"name": one.name, "verdict": one.verdict.value, "detail": one.detail, "fix": one.fix}
        for one in findings
    ]
    output.write_list(records, output_format, columns=_COLUMNS, wrapped=("detail", "fix"))
    problems = [one for one in findings if one.verdict is Verdict.PROBLEM]
    warnings = [one for one in findings if one.verdict is Verdict.WARNING]
    if problems or warnings:
        note(f"{_counted(problems, 'problem')}, {_counted(warnings, 'warning')}")
    return ExitCode.FAILED if problems else ExitCode.DONE


def _counted(findings: Sequence[object], word: str) -> str:
    return f"{len(findings)} {word}{'' if len(findings) == 1 else 's'}"


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(
        app,
        "doctor",
        lists=True,
        examples=[
            "delta doctor",
            "delta doctor -o json | jq '.[] | select(.verdict != \"ok\")'",
        ],
    )(doctor)
