"""The options `--install-completion` and `--show-completion`, with Delta's own scripts.

Typer has such options too, but its script for zsh evaluates what the program prints.
"""

from typing import Annotated

import typer

from delta_cli.cli import stdout


def _install(context: typer.Context, asked: bool) -> None:
    if not asked or context.resilient_parsing:
        return
    from typer._completion_shared import install

    from delta_cli.cli.completion_scripts import SCRIPTS
    from delta_cli.cli.talk import note

    # Typer finds the place and has the shell load it.
    shell, file = install(shell=_this_shell(), prog_name="delta")
    file.write_text(SCRIPTS[shell])
    note(f"completion for {shell} is in {file}; it takes effect in the next shell")
    raise typer.Exit


def _show(context: typer.Context, asked: bool) -> None:
    if not asked or context.resilient_parsing:
        return
    from delta_cli.cli.completion_scripts import SCRIPTS

    stdout.write(SCRIPTS[_this_shell()])
    raise typer.Exit


def _this_shell() -> str:
    # Comes with Typer.
    from shellingham import ShellDetectionFailure, detect_shell

    from delta_cli.cli.completion_scripts import SCRIPTS
    from delta_cli.engine.errors import ConfigError

    try:
        shell = detect_shell()[0]
    except ShellDetectionFailure:
        shell = "this shell"
    if shell not in SCRIPTS:
        raise ConfigError(
            f"there is no completion for {shell}",
            hint=f"run it in one of these: {', '.join(SCRIPTS)}",
        )
    return shell


InstallOption = Annotated[
    bool,
    typer.Option(
        "--install-completion",
        help="Install completion for the current shell.",
        is_eager=True,
        callback=_install,
    ),
]
ShowOption = Annotated[
    bool,
    typer.Option(
        "--show-completion",
        help="Show completion for the current shell, to copy it or customize the installation.",
        is_eager=True,
        callback=_show,
    ),
]
