"""What `delta doctor` looks at: the server, the tables, and what has been left lying."""

from typing import Final, LiteralString

# The server as a session finds it.
SERVER: Final[LiteralString] = """
select
    current_setting('server_version_num')::int as version_num,
    current_setting('server_version') as version,
    current_setting('fsync')::bool as fsync,
    current_setting('synchronous_commit') as synchronous_commit,
    current_setting('autovacuum')::bool as autovacuum,
    pg_is_in_recovery() as is_standby,
    extract(epoch from clock_timestamp())::float8 as clock,
    current_setting('max_connections')::int
        - coalesce(current_setting('superuser_reserved_connections', true)::int, 0)
        - coalesce(current_setting('reserved_connections', true)::int, 0) as most_connections,
    (select count(*) from pg_stat_activity where backend_type = 'client backend') as connections,
    (
        select extract(epoch from max(now() - xact_start))::float8
        from pg_stat_activity
        where xact_start is not null and pid <> pg_backend_pid()
        and backend_type = 'client backend'
    ) as oldest_transaction_s
"""

# Delta's tables on which the role lacks a right that workers need.
RIGHTS_MISSING: Final[LiteralString] = """
select relation.relname::text
from pg_class as relation
join pg_namespace as schema on schema.oid = relation.relnamespace
where schema.nspname = %(schema)s
and relation.relkind = 'r'
and relation.relname like 'delta\\_%%'
and relation.relname <> 'delta_migration'
and not (
    has_table_privilege(relation.oid, 'select') and has_table_privilege(relation.oid, 'insert')
    and has_table_privilege(relation.oid, 'update') and has_table_privilege(relation.oid, 'delete')
)
order by relation.relname
"""

# How many dead rows each of Delta's tables carries.
TABLES: Final[LiteralString] = """
select
    statistics.relname::text as name,
    statistics.n_live_tup as live,
    statistics.n_dead_tup as dead,
    greatest(statistics.last_vacuum, statistics.last_autovacuum) as vacuumed_at
from pg_stat_user_tables as statistics
where statistics.schemaname = %(schema)s
order by statistics.n_dead_tup desc
"""

# The size of each of Delta's indexes, and for how many rows.
INDEXES: Final[LiteralString] = """
select
    index_of.relname::text as name,
    pg_relation_size(index_of.oid) as bytes,
    greatest(index_of.reltuples, 0)::bigint as entries
from pg_index as entry
join pg_class as index_of on index_of.oid = entry.indexrelid
join pg_class as relation on relation.oid = entry.indrelid
join pg_namespace as schema on schema.oid = relation.relnamespace
where schema.nspname = %(schema)s
and index_of.relam = (select oid from pg_am where amname = 'btree')
order by pg_relation_size(index_of.oid) desc
"""

# The workers that are there, those lost within a day, and how many of the running ones are paused.
# A restart of the server silences everybody, so a silence counts from the restart at the earliest.
WORKERS: Final[LiteralString] = """
select
    count(*) filter (where is_there and not is_silent) as running,
    count(*) filter (where is_there and is_silent) as silent,
    count(*) filter (where state = 'lost' and stopped_at > now() - interval '1 day') as lost,
    count(*) filter (
        where is_there
        and not is_silent
        and exists (
            select from delta_pause
            where scope = 'worker' and name = worker.id::text
            and coalesce(until, 'infinity') > now()
        )
    ) as paused
from (
    select
        id, state, stopped_at,
        state in ('running', 'draining') as is_there,
        extract(epoch from now() - greatest(heartbeat_at, pg_postmaster_start_time()))
            > %(silent_beats)s * heartbeat_interval_s as is_silent
    from delta_worker
) as worker
"""

# Ticks that fail, or that nobody has run for more than two of their intervals and a minute although
# they are not paused.
TICKS: Final[LiteralString] = """
select name, is_overdue, consecutive_failures, last_error
from (
    select
        name,
        enabled and next_due < now() - interval_s * interval '2 seconds' - interval '1 minute'
            and not exists (
                select from delta_pause
                where scope = 'tick' and delta_pause.name = delta_tick.name
                and coalesce(until, 'infinity') > now()
            ) as is_overdue,
        consecutive_failures,
        last_error
    from delta_tick
) as tick
where consecutive_failures > 0 or is_overdue
order by name
"""

# What is paused, since how many seconds, and how much waits behind it: due resources, counted up to
# 1,000, or a tick that is due. What waits behind a worker, others work.
PAUSES: Final[LiteralString] = """
select
    scope, name, reason, actor, created_at, until,
    extract(epoch from now() - created_at)::float8 as age_s,
    case scope
        when 'tick' then (
            select count(*)
            from delta_tick
            where delta_tick.name = pause.name and enabled and next_due <= now()
        )
        when 'worker' then 0
        else (
            select count(*)
            from (
                select
                from delta_controller as controller
                cross join delta_namespace as namespace
                cross join generate_series(1, 4) as level(priority)
                cross join lateral (
                    select
                    from delta_resource
                    where kind = controller.kind
                    and namespace = namespace.name
                    and priority = level.priority
                    and due_at <= now()
                    limit 1000
                ) as due
                where (pause.scope, pause.name)
                    in (('kind', controller.kind), ('namespace', namespace.name))
                limit 1000
            ) as counted
        )
    end as waiting
from delta_pause as pause
where coalesce(until, 'infinity') > now()
and (
    scope <> 'worker'
    or exists (
        select from delta_worker
        where delta_worker.id::text = pause.name and state <> 'stopped'
    )
)
order by scope, name
"""

# Informers that fail, or whose last run had objects refused, by which their watermark stays.
INFORMERS: Final[LiteralString] = """
select controller.kind, controller.inform_failures as consecutive_failures, last.refused, last.error
from delta_controller as controller
join (
    select distinct on (kind) kind, refused, error
    from delta_inform
    where finished_at is not null
    order by kind, id desc
) as last on last.kind = controller.kind
where controller.inform_failures > 0 or last.refused > 0
order by controller.kind
"""

# Claims whose lease has run out without a rescue, the row that has been due the longest in a lane
# that nobody paused, and how much is due in lanes that are paused, counted up to 1,000.
STUCK: Final[LiteralString] = """
select
    (
        select count(*)
        from delta_resource
        where lease_until < now() - interval '1 minute'
    ) as overdue_leases,
    (
        select extract(epoch from now() - min(oldest.due_at))::float8
        from delta_controller as controller
        cross join delta_namespace as namespace
        cross join generate_series(1, 4) as level(priority)
        cross join lateral (
            select due_at
            from delta_resource
            where kind = controller.kind
            and namespace = namespace.name
            and priority = level.priority
            and due_at <= now()
            order by due_at
            limit 1
        ) as oldest
        where not exists (
            select from delta_pause
            where (until is null or until > now())
            and (scope, name) in (('kind', controller.kind), ('namespace', namespace.name))
        )
    ) as longest_due_s,
    (
        select count(*)
        from (
            select
            from delta_controller as controller
            cross join delta_namespace as namespace
            cross join generate_series(1, 4) as level(priority)
            cross join lateral (
                select
                from delta_resource
                where kind = controller.kind
                and namespace = namespace.name
                and priority = level.priority
                and due_at <= now()
                limit 1000
            ) as due
            where exists (
                select from delta_pause
                where (until is null or until > now())
                and (scope, name) in (('kind', controller.kind), ('namespace', namespace.name))
            )
            limit 1000
        ) as counted
    ) as held_back,
    (
        select count(*)
        from (
            select from delta_resource
            where state = 'degraded' and due_at is null and lease_until is null
            and namespace = any(array(select name from delta_namespace))
            limit 1000
        ) as counted
    ) as degraded
"""
