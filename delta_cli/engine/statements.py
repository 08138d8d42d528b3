"""Database work written once as steps, and run over an async or a sync connection alike.

A step yields a `Statement` and is sent its rows. This is how an inform joins the transaction of a
caller's own connection, of either sort, without a second copy of its logic.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, LiteralString, TypeAlias, TypeVar

from psycopg import AsyncConnection, AsyncCursor, Connection, Cursor
from psycopg.rows import TupleRow, tuple_row

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Statement:
    """One query constant and its named parameters.

    `keep_plan`: planned once for many runs, where planning costs as much as running. A plan from
    when a table was small may read all of it for each row of a batch.
    """

    query: LiteralString
    parameters: Mapping[str, Any] = field(default_factory=dict)
    keep_plan: bool = True

    @property
    def prepare(self) -> bool | None:
        """What psycopg is told: never, or as it sees fit."""
        return None if self.keep_plan else False


Rows: TypeAlias = Sequence[tuple[Any, ...]]
Steps: TypeAlias = Generator[Statement, Rows, R]
#: Makes what each statement is sent within, as a transaction.
Within: TypeAlias = Callable[[], AbstractAsyncContextManager[object]]


def column(plural: str, singular: str, values: list[Any]) -> dict[str, Any]:
    """A column of a batch as two parameters: its array, and what stands for all its rows.

    Where all values are the same the array is empty, since making arrays costs; the query fills
    the nulls of `unnest` from `<singular>_of_all`.
    """
    first = values[0]
    if values.count(first) == len(values):
        return {plural: [], f"{singular}_of_all": first}
    return {plural: values, f"{singular}_of_all": None}


async def run_steps(
    connection: AsyncConnection[Any], steps: Steps[R], *, within: Within = nullcontext
) -> R:
    """Run steps over an async connection of our own, each statement `within` what is given."""
    async with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        return await run_through(cursor, steps, within=within)


async def run_through(
    cursor: AsyncCursor[TupleRow], steps: Steps[R], *, within: Within = nullcontext
) -> R:
    """Run steps through an async cursor that fetches in binary."""
    try:
        statement = next(steps)
        while True:
            async with within():
                query, values = statement.query, statement.parameters
                await cursor.execute(query, values, prepare=statement.prepare)
                rows = await cursor.fetchall() if cursor.description else ()
            statement = steps.send(rows)
    except StopIteration as stop:
        return stop.value


def run_steps_sync(connection: Connection[Any], steps: Steps[R]) -> R:
    """Run steps over a sync connection of our own."""
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        return run_through_sync(cursor, steps)


def run_through_sync(cursor: Cursor[TupleRow], steps: Steps[R]) -> R:
    """As `run_through`, through a sync cursor."""
    try:
        statement = next(steps)
        while True:
            cursor.execute(statement.query, statement.parameters, prepare=statement.prepare)
            statement = steps.send(cursor.fetchall() if cursor.description else ())
    except StopIteration as stop:
        return stop.value
