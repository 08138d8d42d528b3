"""Brings a database's schema to what this Delta needs, and says what is wrong where it cannot.

Forward only: files `NNN_words.sql` are applied in order, each once, by one process at a time.
"""

from delta_cli.engine.schema.apply import migrate
from delta_cli.engine.schema.check import MigrationStatus, pending, require_current, status
from delta_cli.engine.schema.files import Migration, shipped_migrations
from delta_cli.engine.schema.names import DEFAULT_SCHEMA, check_schema_name, migrate_command

__all__ = [
    "DEFAULT_SCHEMA",
    "Migration",
    "MigrationStatus",
    "check_schema_name",
    "migrate",
    "migrate_command",
    "pending",
    "require_current",
    "shipped_migrations",
    "status",
]
