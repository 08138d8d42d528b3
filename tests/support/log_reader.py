"""A process that follows the log: `python -m tests.support.log_reader DSN FILE FILTERS`.

It appends the id of each event to the file, and begins behind the last that stands there; with a
name among the filters, where that name has come to. FILTERS is JSON: categories, kinds, name.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from delta_cli import Client, Event

#: More bytes than an id and the end of the line before it.
_LONGEST_END = 64


def last_id(file: Path) -> int:
    """The last id that was written; 0 when there is none."""
    if not file.exists():
        return 0
    with file.open("rb") as written:
        end = written.seek(0, os.SEEK_END)
        written.seek(max(0, end - _LONGEST_END))
        lines = written.read().split()
    return int(lines[-1]) if lines else 0


async def read(dsn: str, file: Path, filters: dict[str, Any]) -> None:
    categories, name = filters.pop("categories", ()), filters.pop("name", None)
    after = last_id(file)
    if name is not None and after > 0:
        after = None
    seen = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    async with Client(dsn) as client:
        async for event in client.subscribe(*categories, after=after, name=name, **filters):
            line = f"{event.id}\n" if isinstance(event, Event) else f"{event}\n"
            os.write(seen, line.encode())


if __name__ == "__main__":
    asyncio.run(read(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])))
