"""Databases for tests: made in a moment from a template, dropped whoever is still connected."""

import itertools
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo


class Databases:
    """Makes and drops databases of one server; `label` keeps processes apart that share it."""

    def __init__(self, server_dsn: str, label: str) -> None:
        self._server_dsn = server_dsn
        self._label = label
        self._numbers = itertools.count(1)
        self._connection: psycopg.Connection[Any] = psycopg.connect(server_dsn, autocommit=True)

    def create(self, name: str | None = None, *, template: str | None = None) -> str:
        """Make a database, empty or a clone of `template`, and return its DSN."""
        name = name or f"delta_{self._label}_{next(self._numbers)}"
        query = sql.SQL("create database {name} template {template}")
        self._connection.execute(
            query.format(
                name=sql.Identifier(name), template=sql.Identifier(template or "template0")
            )
        )
        return make_conninfo(self._server_dsn, dbname=name)

    def drop(self, dsn: str) -> None:
        """Drop the database that `create` gave, and end its connections."""
        name = conninfo_to_dict(dsn)["dbname"]
        query = sql.SQL("drop database if exists {name} with (force)")
        self._connection.execute(query.format(name=sql.Identifier(str(name))))

    def close(self) -> None:
        self._connection.close()
