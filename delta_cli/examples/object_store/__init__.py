"""A small object store: so many verified copies of each object, over folders with quotas in bytes.

    export OBJECT_STORE_CATALOGUE=/srv/catalogue
    export OBJECT_STORE_BACKENDS=/mnt/a/store=10G:/mnt/b/store=10G:/mnt/c/store=500M
    delta run --app delta_cli.examples.object_store:config

    python -m delta_cli.examples.object_store put holiday.jpg --copies 2

Objects are taken in by a controller. Three ticks keep the copies right when disks are lost, filled
or added: `replicate`, `trim` and `spread`. It needs `flock`, so it does not run on Windows, and it
lists a backend for each copy that it makes: it is for thousands of objects, not for millions.
"""

import asyncio
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, Final

from delta_cli import Client, Config, ConfigError, NamespaceConfig
from delta_cli.examples.object_store.catalogue import StoredObject
from delta_cli.examples.object_store.controller import StoredObjectController
from delta_cli.examples.object_store.passes import Gauges, Passes
from delta_cli.examples.object_store.store import ObjectStore

#: How often each pass runs. `replicate` reads every copy to verify it.
PASS_INTERVAL: Final = timedelta(minutes=5)
#: A stored object is worked again after this time, which also removes what is not wanted any more.
EXPIRY_TTL: Final = timedelta(minutes=5)
MAINTENANCE_INTERVAL: Final = timedelta(seconds=10)
#: How far the levels of two backends may be apart: a tenth of their quotas.
MARGIN: Final = 0.1

_UNITS: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def make_config(
    store: ObjectStore,
    *,
    gauges: Gauges | None = None,
    interval: timedelta = PASS_INTERVAL,
    margin: float = MARGIN,
    **overrides: Any,
) -> Config:
    """The application that keeps a store; `overrides` are settings of `Config`.

    `gauges` are refreshed by the passes, for whoever wants to read them.
    """
    passes = Passes(store, gauges or Gauges(store), margin)
    settings: dict[str, Any] = {
        "controllers": [StoredObjectController(store)],
        "ticks": passes.services(interval),
        "namespaces": {
            "default": NamespaceConfig(expiry_ttl=EXPIRY_TTL, deleted_retention=timedelta(0))
        },
        "resource_inform_jitter": timedelta(seconds=1),
        "maintenance_interval": MAINTENANCE_INTERVAL,
        "cleaner_interval": MAINTENANCE_INTERVAL,
    }
    return Config(**(settings | overrides))


async def put(
    client: Client, store: ObjectStore, name: str, content: IO[bytes], *, copies: int
) -> StoredObject:
    """Take an object into the store, and have it worked at once. Raises InvalidObject."""
    wanted = await asyncio.to_thread(store.catalogue.put, name, content, copies)
    await client.inform(wanted)
    return wanted


def store_from_environment() -> ObjectStore:
    """The store that `OBJECT_STORE_CATALOGUE` and `OBJECT_STORE_BACKENDS` name."""
    catalogue = _setting("OBJECT_STORE_CATALOGUE", "/path/to/folder")
    backends = _setting("OBJECT_STORE_BACKENDS", "/mnt/a/store=10G:/mnt/b/store=500M")
    return ObjectStore(Path(catalogue), parse_backends(backends))


def parse_backends(text: str) -> Mapping[Path, int]:
    """Folders with their quotas, as in `/mnt/a/store=10G:/mnt/b/store=500M`."""
    quotas: dict[Path, int] = {}
    for entry in text.split(os.pathsep):
        match = re.fullmatch(r"(.+)=(\d+)([KMGT]?)", entry)
        if match is None or Path(match[1]) in quotas:
            raise ConfigError(
                f"{entry!r} in OBJECT_STORE_BACKENDS is not a folder with a quota of its own",
                hint="write /path/to/folder=10G, with K, M, G, T or nothing for bytes",
            )
        quotas[Path(match[1])] = int(match[2]) * _UNITS[match[3]]
    return quotas


def _setting(variable: str, example: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise ConfigError(f"{variable} is not set", hint=f"export {variable}={example}")
    return value


def __getattr__(name: str) -> Any:
    """`config` is made when it is asked for: `--app delta_cli.examples.object_store:config`."""
    if name != "config":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return make_config(store_from_environment())
