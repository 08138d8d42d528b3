"""`delta run`: a worker process, or several, until a signal or, with `--drain`, nothing is due."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from delta_cli.cli import output
from delta_cli.cli.application import require_application
from delta_cli.cli.command import always, command
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.logs import LogFormat, LogLevel, set_up_logs
from delta_cli.cli.output import Format
from delta_cli.cli.settings import Settings
from delta_cli.cli.usage_errors import told_as_usage
from delta_cli.engine.errors import ConfigError
from delta_cli.engine.settings import check_limit, check_namespace

if TYPE_CHECKING:
    from delta_cli.engine.config import Config


def run(
    settings: Settings,
    *,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", "-k", help="Only this kind; repeatable.")
    ] = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", help="Only this namespace; repeatable."),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Works at once of each kind, in place of its parallelism.")
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Keep so many worker processes running; one that dies is replaced."
        ),
    ] = None,
    drain: Annotated[
        bool, typer.Option("--drain", help="End when nothing is due; exit 8 if any failed.")
    ] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            metavar="PORT",
            help="Answer Prometheus on http://HOST:PORT/metrics: workers, ticks, quotas, and "
            "this process.",
        ),
    ] = None,
    log_format: Annotated[
        LogFormat, typer.Option(help="Logs for people or as JSON.")
    ] = LogFormat.TEXT,
    log_level: Annotated[LogLevel, typer.Option(help="From where on to log.")] = LogLevel.INFO,
    output_format: Annotated[
        Format | None,
        typer.Option("--output", "-o", help="With --drain: print what was done on stdout."),
    ] = None,
) -> ExitCode | None:
    """Work resources, as one worker of the fleet.

    SIGTERM or Ctrl-C once: finish what runs, then exit 0. Twice: cancel it and give it back.
    """
    from delta_cli.cli.running import run_async
    from delta_cli.cli.supervised import Supervised
    from delta_cli.cli.worker_process import loop_factory, spare_the_collector
    from delta_cli.cli.worker_run import WorkerRun

    supervised = Supervised.from_environment(os.environ)
    if output_format is not None and not drain:
        raise ConfigError("--output belongs to --drain: a worker that runs on prints no data")
    check_limit("--concurrency", concurrency)
    with told_as_usage():
        for name in namespace or ():
            check_namespace(name)
    if processes is not None:
        if metrics_port is not None:
            raise ConfigError(
                "--metrics-port is of one process, and --processes starts several",
                hint="start one more with --metrics-port: it tells of all workers",
            )
        set_up_logs(log_format, log_level)
        return _supervise(settings, processes, output_format, drain=drain)
    # What all of several processes would tell, one does.
    announce = supervised is None or supervised.announces
    config = _only(require_application(settings, announce=announce), kind)
    set_up_logs(log_format, log_level)
    worker = WorkerRun(config, namespace or None, concurrency, supervised, metrics_port)
    # Of several processes, the supervisor tells for all.
    form = output_format if supervised is None else None
    spare_the_collector()
    return run_async(worker.run(settings, form, drain=drain), loop_factory())


def _supervise(
    settings: Settings, processes: int, form: Format | None, *, drain: bool
) -> ExitCode | None:
    from delta_cli.cli.running import run_async
    from delta_cli.cli.session import announce_embedded
    from delta_cli.cli.supervisor import Supervisor, check_processes, without_processes

    check_processes(processes)
    if settings.database().dsn is None:
        announce_embedded()
    # What a protected profile asks for has been answered here, for all of them.
    words = [*without_processes(sys.argv[1:]), "--yes"]
    supervisor = Supervisor(words, processes, drain=drain, form=form or Format.TABLE)
    code = run_async(supervisor.run())
    if form is not None:
        output.write_object(supervisor.totals(), form)
    return code


def _only(config: "Config", kinds: Sequence[str] | None) -> "Config":
    """The application with the named kinds alone. Raises ConfigError for one that it has not."""
    from dataclasses import replace

    from delta_cli.engine.controller import Controllers

    if not kinds:
        return config
    chosen = Controllers(config.controllers).only(kinds)
    return replace(config, controllers=[chosen.controller(one) for one in chosen])


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(
        app,
        "run",
        changes=always,
        examples=[
            "delta run --app myapp:config",
            "delta run --kind user --concurrency 20",
            "delta run --processes 4",
            "delta run --metrics-port 9464",
            "delta run --drain || echo some failed",
            "delta run --drain -o json | jq .failed",
        ],
    )(run)
