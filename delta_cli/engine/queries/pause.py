"""Pauses of kinds, namespaces, workers and ticks. One whose end has passed is none any more."""

from typing import Final, LiteralString

# Pause what is there, or replace the pause that it has; no row: there is no such thing. A kind is
# there with its controller, or with resources that wait for one; a tick also before its first run,
# where a process has it. Ended pauses of others go away.
PAUSE: Final[LiteralString] = """
with ended as (
    delete from delta_pause
    where (until <= now() or (
        scope = 'worker'
        and not exists (select from delta_worker where delta_worker.id::text = delta_pause.name)
    ))
    and (scope, name) <> (%(scope)s::text, %(name)s::text)
)
insert into delta_pause (scope, name, reason, actor, until)
select
    %(scope)s::text, %(name)s::text, %(reason)s, %(actor)s, now() + %(lasting)s::interval
where case %(scope)s::text
    when 'kind' then
        exists (select from delta_controller where kind = %(name)s::text)
        or exists (select from delta_resource where kind = %(name)s::text)
    when 'namespace' then exists (select from delta_namespace where name = %(name)s::text)
    when 'worker' then exists (
        select from delta_worker
        where id::text = %(name)s::text and state in ('running', 'draining')
    )
    when 'tick' then
        %(name)s::text = any(%(known_ticks)s::text[])
        or exists (select from delta_tick where name = %(name)s::text)
end
on conflict (scope, name) do update
set reason = excluded.reason,
    actor = excluded.actor,
    created_at = now(),
    until = excluded.until
returning scope, name, reason, actor, created_at, until
"""

# End a pause; no row: there is none.
RESUME: Final[LiteralString] = """
delete from delta_pause
where scope = %(scope)s and name = %(name)s and coalesce(until, 'infinity') > now()
returning scope, name, reason, actor, created_at, until
"""

# What is paused now, without workers that have ended: they pause for ever. A lost one may be back.
IN_FORCE: Final[LiteralString] = """
select scope, name, reason, actor, created_at, until
from delta_pause
where coalesce(until, 'infinity') > now()
and (
    scope <> 'worker'
    or exists (
        select from delta_worker
        where delta_worker.id::text = delta_pause.name and state <> 'stopped'
    )
)
order by scope, name
"""

# The pause of one thing, if it is paused now.
FIND: Final[LiteralString] = """
select scope, name, reason, actor, created_at, until
from delta_pause
where scope = %(scope)s and name = %(name)s and coalesce(until, 'infinity') > now()
"""

# A worker that goes on under another id stays paused.
HAND_OVER: Final[LiteralString] = """
update delta_pause
set name = %(to_worker)s::bigint::text
where scope = 'worker'
and name = (
    select name
    from delta_pause
    where scope = 'worker' and name = any(%(from_workers)s::text[])
    order by created_at desc
    limit 1
)
"""

# The names of what could be paused: all that there is of one scope.
NAMES: Final[LiteralString] = """
select name
from (
    select 'kind' as scope, kind as name from delta_controller
    union
    select 'kind', kind from delta_resource where state = 'unknown'
    union all
    select 'namespace', name from delta_namespace
    union all
    select 'worker', id::text from delta_worker where state in ('running', 'draining')
    union all
    (select 'tick', name from delta_tick union select 'tick', unnest(%(known_ticks)s::text[]))
) as there
where scope = %(scope)s
order by name
"""
