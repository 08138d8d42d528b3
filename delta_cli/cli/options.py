"""The options that commands share. Only Typer is imported here: the program itself takes some."""

from typing import Annotated, Any, Final

import typer

_PANEL: Final = "Shared options"
DsnOption = Annotated[
    str | None,
    typer.Option(
        "--dsn",
        metavar="DSN",
        help="Database, as postgresql://user@host/name. "
        "Else DELTA_DSN, DATABASE_URL, PG*, the file, or an embedded one.",
        rich_help_panel=_PANEL,
    ),
]
AppOption = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="MODULE:NAME",
        help="Application, as module:config or a file. Else DELTA_APP or the file.",
        rich_help_panel=_PANEL,
    ),
]
SchemaOption = Annotated[
    str | None,
    typer.Option(
        "--schema",
        metavar="NAME",
        help="Schema of Delta's tables (default: delta). Else DELTA_SCHEMA or the file.",
        rich_help_panel=_PANEL,
    ),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Settings of a profile in the file. Else DELTA_PROFILE or the file.",
        rich_help_panel=_PANEL,
    ),
]
DebugOption = Annotated[
    bool,
    typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=_PANEL),
]
#: What every command takes, by the name of its parameter, with its default.
SHARED: Final[dict[str, tuple[Any, Any]]] = {
    "dsn": (DsnOption, None),
    "app": (AppOption, None),
    "schema": (SchemaOption, None),
    "profile": (ProfileOption, None),
    "debug": (DebugOption, False),
}

_LIST_PANEL: Final = "What to show"
#: What every list takes.
LIST: Final[dict[str, tuple[Any, Any]]] = {
    "columns": (
        Annotated[
            str | None,
            typer.Option(
                metavar="A,B",
                help="Only these columns, in this order.",
                rich_help_panel=_LIST_PANEL,
            ),
        ],
        None,
    ),
    "sort": (
        Annotated[
            str | None,
            typer.Option(
                metavar="COLUMN",
                help="By this column; -COLUMN: descending.",
                rich_help_panel=_LIST_PANEL,
            ),
        ],
        None,
    ),
    "no_header": (
        Annotated[
            bool,
            typer.Option(
                "--no-header", help="No head on tables and CSV.", rich_help_panel=_LIST_PANEL
            ),
        ],
        False,
    ),
}

#: What a command takes that changes something.
YES: Final[dict[str, tuple[Any, Any]]] = {
    "yes": (
        Annotated[
            bool,
            typer.Option("--yes", "-y", help="Do not ask, where a protected profile would."),
        ],
        False,
    )
}
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Change nothing; show what would be done.")
]
ActorOption = Annotated[
    str | None,
    typer.Option("--actor", help="Who does it, for the records (default: your user name)."),
]
