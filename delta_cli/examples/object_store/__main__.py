"""The store from a shell: `python -m delta_cli.examples.object_store put|get|remove|show`.

It talks to the catalogue and the backends alone; a running worker does the rest.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from delta_cli import ConfigError, InvalidObject
from delta_cli.examples.object_store import store_from_environment
from delta_cli.examples.object_store.store import ObjectStore


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what was asked for; exits with 1 and a message when that cannot be done."""
    options = _parser().parse_args(arguments)
    try:
        options.verb(store_from_environment(), options)
    except (ConfigError, InvalidObject, OSError) as error:
        sys.exit(f"error: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m delta_cli.examples.object_store")
    verbs = parser.add_subparsers(required=True)
    put = verbs.add_parser("put", help="take a file in, or a new version of it")
    put.add_argument("file", type=Path)
    put.add_argument("--name", help="its name in the store, if not the file's own")
    put.add_argument("--copies", type=int, default=2)
    put.set_defaults(verb=_put)
    get = verbs.add_parser("get", help="write an object to standard output")
    get.add_argument("name")
    get.set_defaults(verb=_get)
    remove = verbs.add_parser("remove", help="want an object no more")
    remove.add_argument("name")
    remove.set_defaults(verb=_remove)
    show = verbs.add_parser("show", help="how full the backends are")
    show.set_defaults(verb=lambda store, _: _show(store))
    return parser


def _put(store: ObjectStore, options: argparse.Namespace) -> None:
    store.catalogue.create()
    with options.file.open("rb") as content:
        store.catalogue.put(options.name or options.file.name, content, options.copies)


def _get(store: ObjectStore, options: argparse.Namespace) -> None:
    found = store.find_content(options.name)
    if found is None:
        raise FileNotFoundError(f"the store has no good copy of {options.name!r}")
    with found.open("rb") as content:
        shutil.copyfileobj(content, sys.stdout.buffer)


def _remove(store: ObjectStore, options: argparse.Namespace) -> None:
    store.catalogue.remove(options.name)


def _show(store: ObjectStore) -> None:
    for fill in store.fills():
        print(fill)


if __name__ == "__main__":
    main()
