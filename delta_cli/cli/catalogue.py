"""Every command of `delta`: where it is, under which panel of the help, and in which words."""

from typing import Final

from delta_cli.cli.lazy import Entry

CATALOGUE: Final[dict[str, Entry]] = {
    "run": Entry("run", "Work", "Work resources, as one worker of the fleet."),
    "inform": Entry("inform", "Work", "Tell Delta of objects, or queue a run of an informer."),
    "status": Entry(
        "status", "Look", "Show how many resources are in each state, and the workers."
    ),
    "list": Entry("resources", "Look", "List resources in the order of their ids."),
    "get": Entry("resources", "Look", "Show one resource with its drift, errors and timeline."),
    "subscribe": Entry("subscribe", "Look", "Print events as they come."),
    "workers": Entry("workers", "Look", "List the workers of the fleet."),
    "controllers": Entry("controllers", "Look", "List the kinds that have a controller."),
    "informs": Entry("informs", "Look", "List the last runs of informers."),
    "dash": Entry("dash", "Look", "Open the live dashboard."),
    "invalidate": Entry("repair", "Repair", "Work synced resources again."),
    "retry": Entry("repair", "Repair", "Begin a new round of attempts now."),
    "delete": Entry("repair", "Repair", "Delete resources softly."),
    "cancel": Entry("cancel", "Repair", "Cancel the running work of one resource."),
    "tick": Entry(
        "tick", "Operate", "Force a periodic service now, or list all with their health."
    ),
    "pause": Entry("pause", "Operate", "Hold back a kind, a namespace, a worker or a tick."),
    "resume": Entry("pause", "Operate", "Let go on what was paused."),
    "namespaces": Entry("namespaces", "Operate", "List namespaces, or set their limits and TTL."),
    "init": Entry("init", "Setup", "Write a first application that runs as it is."),
    "demo": Entry("demo", "Setup", "See Delta work: mirror a folder, file by file."),
    "migrate": Entry("migrate", "Setup", "Apply the migrations that the database lacks."),
    "config": Entry("config", "Setup", "Show every setting and where it came from."),
    "doctor": Entry("doctor", "Setup", "Examine the database, the fleet and the resources."),
    "db": Entry("database", "Setup", "The embedded Postgres: start, stop, look, reset."),
    "help": Entry("topics", "Setup", "Explain exit statuses, formats, or the environment."),
    "version": Entry("version", "Setup", "Show the versions of Delta and of what it stands on."),
}
