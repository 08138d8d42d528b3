"""No look of the dashboard reads all of a large table, whatever the planner believes."""

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest

from delta_cli.engine.database import CONFIGURE
from delta_cli.engine.queries import overview, suggestion
from tests.support.databases import Databases

ROWS, LOOK = 20_000, 500
FILL: LiteralString = """
insert into delta_resource (
    namespace, kind, object_id, state, max_attempts, object, hash, synced_at, synced_generation,
    due_at
)
select
    'n' || i % 2, 'k' || i % 2, 'object-' || i,
    case when i % 2 = 0 then 'synced' else 'scheduled' end::delta_resource_state, 10,
    '{}', '', now(), 1, case when i % 2 = 1 then now() end
from generate_series(1, 20000) as i
"""
LANES: LiteralString = """
with named as (insert into delta_namespace (name) values ('n0'), ('n1'))
insert into delta_controller (kind, parallelism) values ('k0', 1), ('k1', 1)
"""
ANY: dict[str, Any] = {
    **dict.fromkeys(("kind", "namespace", "tags", "text", "worker_id", "states")),
    "look": LOOK,
    "limit": 10,
}
LOOKS: dict[str, tuple[LiteralString, dict[str, Any], int]] = {
    "counts": (
        overview.COUNT_CHUNK,
        {"after_id": 5_000, "until_id": 2**62, "limit": LOOK},
        LOOK,
    ),
    # Two kinds, two namespaces, four priorities.
    "due": (overview.DUE, {"cap": 10}, 2 * 2 * 4 * 10),
    "pending": (overview.PENDING, {}, 0),
    "list": (overview.CANDIDATES, ANY | {"before_id": 2**62, "text": "nothing"}, LOOK),
    "list of waiting": (overview.CANDIDATES_DUE, ANY | {"states": ["failed"]}, LOOK),
    "list of pending": (overview.CANDIDATES_PENDING, ANY, 0),
    "list at rest": (
        overview.CANDIDATES_AT_REST,
        ANY | {"states": ["synced"], "kind": "none"},
        LOOK,
    ),
    "lines": (overview.LINES, {"ids": [1, 2, 3]}, 3),
    "find": (
        overview.FIND,
        {"object_id": "object-7", "kind": None, "namespace": None, "limit": 10},
        1,
    ),
    "ids that begin so": (suggestion.OBJECT_IDS, {"prefix": "object-7", "kind": None}, 2_000),
}


@pytest.fixture(scope="module")
def filled(databases: Databases, template: str) -> Iterator[psycopg.Connection[Any]]:
    dsn = databases.create(template=template)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(CONFIGURE, {"schema": "delta"})
        connection.execute(LANES)
        connection.execute(FILL)
        connection.execute("analyze delta_resource")
        yield connection
    databases.drop(dsn)


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_reads_no_more_than_it_is_allowed(
    name: str, filled: psycopg.Connection[Any]
) -> None:
    query, parameters, most = LOOKS[name]
    explained = b"explain (analyze, format json) " + query.encode()
    row = filled.execute(explained, parameters).fetchone()
    assert row is not None
    read = sum(_rows_read(node) for node in _nodes(row[0][0]["Plan"]))
    assert read <= most, f"{name} read {read} rows"


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _rows_read(node: dict[str, Any]) -> float:
    """Rows of the resources' table or its indexes that a node has looked at."""
    index = str(node.get("Index Name", ""))
    of_table = node.get("Relation Name") == "delta_resource"
    if not of_table and not index.startswith("delta_resource"):
        return 0
    dropped = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return (node["Actual Rows"] + dropped) * node["Actual Loops"]
