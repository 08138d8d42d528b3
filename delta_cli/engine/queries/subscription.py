"""Named cursors: how far each named subscription has come in the log."""

from typing import Final, LiteralString

# Where a name goes on: at the given id if it is new or set anew, else where it has come to; and
# since when it is counted from there.
OPEN: Final[LiteralString] = """
insert into delta_subscription as stored (name, position)
values (%(name)s, %(position)s)
on conflict (name) do update
set position = case when %(anew)s then excluded.position else stored.position end,
    created_at = case when %(anew)s then now() else stored.created_at end,
    acknowledged_at = case when %(anew)s then now() else stored.acknowledged_at end
returning position, created_at
"""

# All up to an id is handled. Never backwards: a reader that is slow to end may be behind its
# successor. Where the name was set anew meanwhile, what its former reader says counts no more.
ACKNOWLEDGE: Final[LiteralString] = """
with known as materialized (
    select name, created_at from delta_subscription where name = %(name)s
), moved as (
    update delta_subscription
    set position = greatest(position, %(position)s::bigint), acknowledged_at = now()
    where name = %(name)s
    and created_at = %(since)s
)
select name from known
"""

# All names, with how many ids of the log lie beyond each.
LIST: Final[LiteralString] = """
select
    name, position,
    greatest(newest.id - position, 0) as behind,
    created_at, acknowledged_at
from delta_subscription
cross join (
    select coalesce((select id from delta_event order by id desc limit 1), 0) as id
) as newest
order by name
"""

# Forget a name.
REMOVE: Final[LiteralString] = """
delete from delta_subscription where name = %(name)s returning name
"""
