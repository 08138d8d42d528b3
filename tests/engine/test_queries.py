import ast
import inspect
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest

import delta_cli
from tests.support.queries import Query, query_constants, query_modules

QUERIES = query_constants()
MODULES = query_modules()
PACKAGE = Path(delta_cli.__file__).parent

every_query = pytest.mark.parametrize("query", QUERIES, ids=str)
every_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)


@pytest.fixture(scope="module")
def migrated(databases: Any, template: str) -> Any:
    """One migrated database for all queries: PREPARE changes nothing."""
    dsn = databases.create(template=template)
    with psycopg.connect(dsn, autocommit=True, options="-c search_path=delta") as connection:
        yield connection
    databases.drop(dsn)


def test_there_are_queries() -> None:
    assert len(QUERIES) > 30


@every_query
def test_a_query_can_be_prepared_against_the_migrated_schema(
    query: Query, migrated: psycopg.Connection[Any]
) -> None:
    with migrated.transaction(force_rollback=True):
        if query.text.split()[0] in ("set", "create"):
            migrated.execute(query.text.encode())  # what cannot be prepared can be tried
        else:
            migrated.execute(f"prepare checked as {query.text}".encode())
    migrated.execute("deallocate all")


def test_a_query_with_an_unknown_column_cannot(migrated: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.UndefinedColumn):
        migrated.execute("prepare checked as select nonsense from delta_resource")


@every_module
def test_a_module_of_queries_holds_nothing_else(module: ModuleType) -> None:
    tree = ast.parse(inspect.getsource(module))
    imports = [
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert set(imports) <= {"typing"}
    for node in tree.body:
        match node:
            case ast.Expr(value=ast.Constant(value=str())) | ast.ImportFrom():
                pass
            case ast.AnnAssign(annotation=annotation, value=ast.Constant(value=str())):
                assert ast.unparse(annotation) in ("Final[LiteralString]", "LiteralString")
            case _:
                pytest.fail(f"line {node.lineno}: {ast.unparse(node)[:80]}")


@every_query
def test_a_query_is_used(query: Query) -> None:
    assert str(query) in _used()


@cache
def _used() -> set[str]:
    """`module.CONSTANT` for every constant that the package names."""
    return {name for path in PACKAGE.rglob("*.py") for name in _used_in(path)}


def _used_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    modules: dict[str, str] = {}
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "delta_cli.engine.queries":
            modules |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            parent, _, module = node.module.rpartition(".")
            if parent == "delta_cli.engine.queries":
                used |= {f"{module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id)
            if module is not None:
                used.add(f"{module}.{node.attr}")
    return used


@every_query
def test_a_comment_says_why_a_query_is_there(query: Query) -> None:
    module = next(one for one in MODULES if one.__name__.endswith(f".{query.module}"))
    lines = inspect.getsource(module).splitlines()
    position = next(index for index, line in enumerate(lines) if line.startswith(f"{query.name}: "))
    assert lines[position - 1].startswith("#")
