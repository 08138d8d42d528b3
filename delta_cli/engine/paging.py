"""Reads resources in pages, so that no connection is held while their reader takes its time."""

from collections.abc import AsyncIterator
from typing import Final

from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.session import Session
from delta_cli.engine.store import read
from delta_cli.engine.store.read import ResourceFilter

_PAGE: Final = 500


async def resources_in_pages(
    session: Session, chosen: ResourceFilter, *, after_id: int, limit: int | None
) -> AsyncIterator[ResourceRow]:
    """Resources in the order of their ids, at most `limit` of them (None: all)."""
    left = limit
    while left is None or left > 0:
        size = _PAGE if left is None else min(left, _PAGE)
        async with session.connection() as connection:
            page = await read.page(connection, chosen, after_id=after_id, limit=size)
        for row in page:
            yield row
        if len(page) < size:
            return
        after_id = page[-1].id
        left = None if left is None else left - len(page)
