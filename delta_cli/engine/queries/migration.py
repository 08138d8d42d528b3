"""SQL of the migrations' own table, and of what can be known about a schema before it exists.

`{schema}` is filled by `psycopg.sql` with a quoted identifier: these statements run before any
search path can be relied on.
"""

from typing import LiteralString

# Takes the migration lock of one schema for this transaction, or says at once that another has it.
# A process that waits must not hold a snapshot: `create index concurrently` would wait for it.
TRY_LOCK: LiteralString = """
select pg_try_advisory_xact_lock(hashtextextended(%(lock_name)s, 0)) as locked
"""

# The same lock for the whole session, for a migration that is many transactions.
LOCK_SESSION: LiteralString = """
select pg_advisory_lock(hashtextextended(%(lock_name)s, 0))
"""

# Gives the session's lock back.
UNLOCK_SESSION: LiteralString = """
select pg_advisory_unlock(hashtextextended(%(lock_name)s, 0))
"""

# What was read before the lock was ours must not decide what is applied.
READ_COMMITTED: LiteralString = """
set transaction isolation level read committed
"""

# Makes the schema.
CREATE_SCHEMA: LiteralString = """
create schema if not exists {schema}
"""

# Makes the table that records migrations. It is older than the first of them.
CREATE_TABLE: LiteralString = """
create table if not exists {schema}.delta_migration (
    version int primary key,
    name text not null,
    checksum text not null,
    started_at timestamptz not null,
    applied_at timestamptz
)
"""

# All that was ever begun here, oldest first.
RECORDED: LiteralString = """
select version, name, checksum, started_at, applied_at
from {schema}.delta_migration
order by version
"""

# Records that a migration begins.
START: LiteralString = """
insert into {schema}.delta_migration (version, name, checksum, started_at)
values (%(version)s, %(name)s, %(checksum)s, clock_timestamp())
"""

# Records that a migration is complete.
FINISH: LiteralString = """
update {schema}.delta_migration
set applied_at = clock_timestamp()
where version = %(version)s
returning applied_at - started_at as duration
"""

# Unqualified names mean this schema, until the transaction ends.
SEARCH_LOCALLY: LiteralString = """
set local search_path to {schema}
"""

# Unqualified names mean this schema, until the search path is set again.
SEARCH: LiteralString = """
set search_path to {schema}
"""

# The session's search path, to put it back later.
SEARCH_PATH: LiteralString = """
select current_setting('search_path') as search_path
"""

# Puts the search path back.
RESTORE_SEARCH_PATH: LiteralString = """
select set_config('search_path', %(search_path)s, false)
"""

# What this role may do with the schema and, where there is none, with the database.
RIGHTS: LiteralString = """
select
    current_user::text as role,
    current_database()::text as database,
    schema.oid is not null as schema_exists,
    has_database_privilege(current_database(), 'create') as may_create_schema,
    coalesce(has_schema_privilege(schema.oid, 'usage'), false) as may_use,
    coalesce(has_schema_privilege(schema.oid, 'create'), false) as may_create
from (select) as always
left join pg_namespace as schema on schema.nspname = %(schema)s
"""

# What lies in the schema and did not come with an extension: every relation, and Delta-like types.
STRANGERS: LiteralString = """
select relation.relname::text as name
from pg_class as relation
join pg_namespace as schema on schema.oid = relation.relnamespace
where schema.nspname = %(schema)s
    and relation.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    and not exists (
        select from pg_depend as dependency
        where dependency.classid = 'pg_class'::regclass
            and dependency.objid = relation.oid
            and dependency.deptype = 'e'
    )
union
select type.typname::text as name
from pg_type as type
join pg_namespace as schema on schema.oid = type.typnamespace
where schema.nspname = %(schema)s
    and starts_with(type.typname, 'delta_')
order by name
"""
