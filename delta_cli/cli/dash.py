"""`delta dash`: the live dashboard, one frame of it, or the same in a browser."""

import os
import shlex
import sys
from collections.abc import Coroutine, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from delta_cli.cli import output
from delta_cli.cli.command import command
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.output import Format
from delta_cli.cli.place import place_of
from delta_cli.cli.repair import user_name
from delta_cli.cli.session import open_client
from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import note, warn
from delta_cli.engine.errors import ConfigError

if TYPE_CHECKING:
    from delta_cli.dash.options import Options

_READ_ONLY: Final = "-c default_transaction_read_only=on"
_SIZE: Final = (120, 40)


class TabName(StrEnum):
    """Which tab comes up first."""

    OVERVIEW = "overview"
    RESOURCES = "resources"
    EVENTS = "events"
    WORKERS = "workers"
    TICKS = "ticks"
    CONTROLLERS = "controllers"


class FrameFormat(StrEnum):
    """How one frame is printed."""

    TEXT = "text"
    SVG = "svg"
    JSON = "json"


def dash(
    settings: Settings,
    *,
    tab: Annotated[TabName, typer.Option(help="The tab that comes up first.")] = TabName.OVERVIEW,
    read_only: Annotated[
        bool,
        typer.Option("--read-only", envvar="DELTA_READ_ONLY", help="No actions, and no writes."),
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="Print one frame and end; see --output and --size.")
    ] = False,
    output_format: Annotated[
        FrameFormat, typer.Option("--output", "-o", help="With --once: how to print the frame.")
    ] = FrameFormat.TEXT,
    size: Annotated[
        str | None, typer.Option(metavar="COLUMNSxLINES", help="With --once: how large.")
    ] = None,
    serve: Annotated[
        bool,
        typer.Option(
            "--serve", help="Show it in a browser, read-only unless --writable (extra: web)."
        ),
    ] = False,
    writable: Annotated[
        bool, typer.Option("--writable", help="With --serve: whoever has its address may act.")
    ] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="With --serve.")] = 8000,
    interval: Annotated[
        float, typer.Option(min=0.5, max=60.0, help="Seconds between two looks at the tables.")
    ] = 1.0,
    poll: Annotated[bool, typer.Option("--poll", help="Do without LISTEN.")] = False,
    ascii_only: Annotated[
        bool, typer.Option("--ascii", envvar="DELTA_ASCII", help="Draw with ASCII only.")
    ] = False,
    theme: Annotated[
        str | None,
        typer.Option(envvar="DELTA_THEME", help="A theme of Textual, as nord, or of your own."),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ACTION=KEY", envvar="DELTA_KEYS", help="Another key, as retry=u; repeatable."
        ),
    ] = None,
) -> "ExitCode | Coroutine[Any, Any, ExitCode]":
    """Open the live dashboard: states, events, workers, ticks and controllers, and actions on them.

    In it, ? lists all keys.
    """
    if serve:
        may_write = writable and not (read_only or settings.read_only)
        words = ["--tab", tab.value, "--interval", str(interval)]
        words += [] if may_write else ["--read-only"]
        words += ["--poll"] if poll else []
        words += ["--ascii"] if ascii_only else []
        words += ["--theme", theme] if theme is not None else []
        words += [word for pair in key or () for word in ("--key", pair)]
        return _serve(settings, words, port=port, writable=may_write)
    if not once and not sys.stdout.isatty() and "TEXTUAL_DRIVER" not in os.environ:
        raise ConfigError(
            "the dashboard needs a terminal", hint="print one frame with: delta dash --once"
        )
    read_only = read_only or settings.read_only
    if read_only:
        os.environ["PGOPTIONS"] = f"{os.environ.get('PGOPTIONS', '')} {_READ_ONLY}".strip()
    given = {
        "actor": f"dash:{user_name()}",
        "read_only": read_only,
        "protected": settings.profile.value if settings.protected else None,
        "listen": not poll,
        "ascii": ascii_only,
        "refresh_s": interval,
        "tab": tab.value,
        "keys": _keys(key or ()),
        **_themes(theme),
    }
    return _show(settings, given, (output_format, _size(size)) if once else None)


async def _show(
    settings: Settings, given: dict[str, Any], frame: tuple[FrameFormat, tuple[int, int]] | None
) -> ExitCode:
    from delta_cli.dash.options import Options
    from delta_cli.dash.running import run_dash

    async with open_client(settings) as client:
        options = Options(where=place_of(client), **given)
        if frame is None:
            return ExitCode(await run_dash(client, options))
        await _print_frame(client, options, *frame)
        return ExitCode.DONE


async def _print_frame(
    client: Any, options: "Options", form: FrameFormat, size: tuple[int, int]
) -> None:
    from delta_cli.dash.running import draw_frame, take_snapshot

    if form is FrameFormat.JSON:
        from delta_cli.cli.dash_record import dash_record

        snapshot = await take_snapshot(client, options)
        output.write_object(dash_record(snapshot), Format.JSON)
        return
    output.write_text(await draw_frame(client, options, size, as_svg=form is FrameFormat.SVG))


def _size(text: str | None) -> tuple[int, int]:
    if text is None:
        return _SIZE
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise ConfigError(f"--size {text!r} is no size", hint="write it as 120x40")
    columns, lines = int(width), int(height)
    if not (40 <= columns <= 500 and 10 <= lines <= 200):  # noqa: PLR2004
        raise ConfigError(f"--size {text} is out of range", hint="from 40x10 to 500x200")
    return columns, lines


def _themes(chosen: str | None) -> dict[str, Any]:
    """The theme to show, all of one's own, and what is wrong with files of these."""
    from delta_cli.dash.themes import read_themes, themes_folder

    themes = read_themes(themes_folder())
    if chosen is not None:
        themes.check(chosen)
    for error in themes.broken.values():
        warn(f"{error.message}; the dashboard goes on without it")
    return {
        "theme": None if chosen in themes.broken else chosen,
        "themes": themes.own,
        "warnings": [error.message for error in themes.broken.values()],
    }


def _keys(given: Sequence[str]) -> dict[str, str]:
    from delta_cli.dash.keys import chosen_keys

    return chosen_keys(given)


def _serve(settings: Settings, options: Sequence[str], *, port: int, writable: bool) -> ExitCode:
    from delta_cli.dash.admission import Admission
    from delta_cli.dash.serving import serve

    # By the environment: a command line is seen by everybody on the machine.
    source = settings.database()
    if source.dsn:
        os.environ["DELTA_DSN"] = source.dsn
    os.environ["DELTA_SCHEMA"] = settings.schema_name
    if settings.profile.value is not None:
        os.environ["DELTA_PROFILE"] = settings.profile.value
    admission = Admission(port)
    how = "writable" if writable else "read-only"
    note(f"the dashboard is shown, {how}, to whoever opens\n{admission.address}")
    serve(shlex.join([sys.executable, "-m", "delta_cli.cli.app", "dash", *options]), admission)
    return ExitCode.DONE


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(
        app,
        "dash",
        examples=[
            "delta dash",
            "delta dash --read-only --tab ticks",
            "delta dash --once --size 80x24",
            "delta dash --once -o json | jq .alerts",
        ],
    )(dash)
