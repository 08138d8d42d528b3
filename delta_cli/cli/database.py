"""`delta db`: the embedded Postgres of whoever has no other."""

import subprocess
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from delta_cli.cli import output
from delta_cli.cli.command import OutputOption, always, command
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.help_text import PlainGroup
from delta_cli.cli.options import DryRunOption
from delta_cli.cli.output import Format
from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import is_agreed, note, note_dry_run
from delta_cli.engine.interrupts import interrupts_for_the_child

if TYPE_CHECKING:
    from delta_cli.engine.embedded import EmbeddedServer, EmbeddedStatus

group = typer.Typer(
    cls=PlainGroup, no_args_is_help=True, help="The embedded Postgres: start, stop, look, reset."
)


def _server() -> "EmbeddedServer":
    from delta_cli.engine.embedded import EmbeddedServer

    return EmbeddedServer()


def _write(status: "EmbeddedStatus", output_format: Format) -> None:
    output.write_object(asdict(status) | {"folder": str(status.folder)}, output_format)


def start(
    _settings: Settings,
    *,
    dry_run: DryRunOption = False,
    output_format: OutputOption = Format.TABLE,
) -> None:
    """Start it and keep it up until `delta db stop`, also while nobody uses it."""
    server = _server()
    if not dry_run:
        _write(server.start(), output_format)
        return
    now = server.status()
    _write(replace(now, running=True, kept=True), output_format)
    note_dry_run(f"it would be {'kept up' if now.running else 'started, and kept up'}")


def stop(
    _settings: Settings,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Also while other processes use it.")
    ] = False,
    dry_run: DryRunOption = False,
) -> None:
    """Stop it; refused (exit 6) while other processes use it."""
    server = _server()
    is_used = force and server.status().used
    was_running = server.stop(force=force, dry_run=dry_run)
    if dry_run:
        note_dry_run("it would be stopped" if was_running else "it does not run")
        return
    note(f"stopped; its data stays in {server.folder}" if was_running else "it was not running")
    if is_used:
        note(
            "other processes use it, of which each that looks for it again starts it: end them too"
        )


def status(_settings: Settings, output_format: OutputOption = Format.TABLE) -> None:
    """Show whether it runs, where, and for whom."""
    _write(_server().status(), output_format)


def path(_settings: Settings) -> None:
    """Print the folder that holds its data."""
    output.write_text(str(_server().folder))


def psql(
    settings: Settings,
    arguments: Annotated[
        list[str] | None, typer.Argument(help="More for psql, after `--`.")
    ] = None,
) -> int:
    """Open psql on it, with Delta's schema on the search path; ends with psql's exit status."""
    server = _server()
    program = server.binary("psql")
    dsn = server.join()
    try:
        search_path = f"{settings.schema_name},public".replace("\\", "\\\\").replace(" ", "\\ ")
        separator = "&" if "?" in dsn else "?"
        target = f"{dsn}{separator}options=-csearch_path%3D{_url_quoted(search_path)}"
        with interrupts_for_the_child():
            words = [program, target, *(arguments or ())]
            done = subprocess.run(words, check=False)  # noqa: S603 - the words are the user's own
    finally:
        server.leave()
    # psql's own: 0 done, 1 fatal, 2 connection lost, 3 error in a script; 128 + n for a signal.
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def reset(
    _settings: Settings,
    *,
    dry_run: DryRunOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> ExitCode | None:
    """Remove the embedded Postgres with all its data; refused (exit 6) while others use it."""
    server = _server()
    if dry_run:
        server.reset(dry_run=True)
        now = server.status()
        note_dry_run(f"{now.size_bytes:,} bytes in {now.folder} would be removed")
        return None
    if not yes and not is_agreed(f"Remove {server.folder} with everything in it?"):
        return ExitCode.FAILED
    server.reset()
    note(f"removed what was in {server.folder}")
    return None


def _url_quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def add_to(app: typer.Typer) -> None:
    """Declare the group and its commands."""
    command(
        group,
        "start",
        changes=always,
        examples=["delta db start", "delta db start -o json | jq -r .dsn"],
    )(start)
    command(
        group,
        "stop",
        changes=always,
        examples=["delta db stop", "delta db stop --force --dry-run"],
    )(stop)
    command(group, "status", examples=["delta db status", "delta db status -o json"])(status)
    command(group, "path", examples=["delta db path", "du -sh $(delta db path)"])(path)
    command(group, "psql", examples=["delta db psql", "delta db psql -- -c 'select now()'"])(psql)
    command(
        group,
        "reset",
        changes=always,
        examples=["delta db reset --dry-run", "delta db reset --yes"],
    )(reset)
    app.add_typer(group, name="db")
