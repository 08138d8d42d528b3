"""Controllers: which kinds have one, and when each informer runs next."""

from typing import Final, LiteralString

# Make a kind known; one that informs is due for its first run at once. No row: it is known already.
REGISTER: Final[LiteralString] = """
insert into delta_controller (
    kind, inform_interval, inform_due_at, parallelism, fleet_parallelism, object_schema
)
values (
    %(kind)s, %(inform_interval)s,
    case when %(inform_interval)s::interval is not null then now() end,
    %(parallelism)s, %(fleet_parallelism)s, %(object_schema)s
)
on conflict (kind) do nothing
returning kind
"""

# The settings of the application that started last hold. A kind whose interval was switched on is
# due for its first run at once, and so is one whose application has a new namespace, for which
# nothing was listed; a shorter interval draws the next run nearer. The limit across the fleet that
# it had is read under the lock of the row: of two that start at once, the second is told what the
# first has set.
SET: Final[LiteralString] = """
with before as materialized (
    select kind, fleet_parallelism from delta_controller where kind = %(kind)s for update
)
update delta_controller as known
set inform_interval = %(inform_interval)s,
    inform_due_at = case
        when %(inform_interval)s::interval is not null
            then least(
                coalesce(known.inform_due_at, now()),
                now() + %(inform_interval)s::interval,
                (
                    select now()
                    from delta_namespace as namespace
                    where namespace.name = any(%(namespaces)s)
                    and namespace.created_at > known.registered_at
                    limit 1
                )
            )
    end,
    parallelism = %(parallelism)s,
    fleet_parallelism = %(fleet_parallelism)s,
    object_schema = %(object_schema)s,
    registered_at = now()
from before
where known.kind = before.kind
returning before.fleet_parallelism
"""

# Every kind that has ever had a controller.
KINDS: Final[LiteralString] = """
select kind from delta_controller order by kind
"""

# The same with their settings, and how their informers fare. A watermark before the calendar of
# Python is none.
LIST: Final[LiteralString] = """
select
    kind,
    extract(epoch from inform_interval)::float8 as inform_interval_s,
    case when last_inform_time >= '0001-01-02 00:00:00+00' then last_inform_time end
        as last_inform_time,
    inform_due_at,
    inform_failures,
    parallelism,
    fleet_parallelism,
    object_schema,
    registered_at,
    exists (
        select from delta_pause as pause
        where pause.scope = 'kind'
        and pause.name = controller.kind
        and coalesce(pause.until, 'infinity') > now()
    ) as paused
from delta_controller as controller
order by kind
"""
