"""Why the database did not do what it was asked, in words for the person at the keys."""

from typing import Final

from delta_cli.engine.database import Database
from delta_cli.engine.dsn import mask_secrets
from delta_cli.engine.errors import SchemaError
from delta_cli.engine.explain import explain

#: After so long a read has failed.
NO_ANSWER_S: Final = 10.0


def reason_of(error: Exception, database: Database) -> str:
    """In one line, with the way out where it is the point, and without secrets."""
    if isinstance(error, TimeoutError):
        return f"no answer within {NO_ANSWER_S:.0f} s"
    meaning = explain(error, database.dsn, database.schema)
    if meaning is None:
        return mask_secrets(f"{type(error).__name__}: {error}")
    if isinstance(meaning, SchemaError) and meaning.hint:
        return f"{meaning.hint} ({meaning.message})"
    return meaning.message
