"""Takes objects in: an object is worked when it is new, when its record changes, and by its TTL."""

from collections.abc import Iterator

from delta_cli import Controller, InformOptions, Permanent, Resource, ResourceDelete
from delta_cli.examples.object_store.catalogue import StoredObject, is_name
from delta_cli.examples.object_store.store import ObjectStore, ShortOfCopies


class StoredObjectController(Controller[StoredObject]):
    """Informs the records of the catalogue, and brings each object to its number of copies.

    What happens to copies later is the business of the passes.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store: ObjectStore = store

    def inform(self, options: InformOptions) -> Iterator[StoredObject]:
        """List the whole catalogue: an unchanged record costs a small read and no write."""
        return self._store.catalogue.records()

    def work(self, resource: Resource[StoredObject]) -> None:
        """Store the object as its record is now, or remove it when the record has gone."""
        name = resource.object_id
        if not is_name(name):
            raise Permanent(f"{name!r} cannot name an object")
        if self._store.catalogue.find(name) is None:
            self._store.remove(name)
            raise ResourceDelete(f"the catalogue has no object {name} any more")
        done = self._store.bring(name)
        if done.problem is not None:
            raise ShortOfCopies(done.problem)
