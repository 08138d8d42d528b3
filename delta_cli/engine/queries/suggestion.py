"""Words that a shell may complete, each list short and found by an index or in a small table."""

from typing import Final, LiteralString

# Kinds that have a controller.
KINDS: Final[LiteralString] = """
select kind::text from delta_controller where starts_with(kind, %(prefix)s) order by kind limit 50
"""

# Namespaces.
NAMESPACES: Final[LiteralString] = """
select name::text from delta_namespace where starts_with(name, %(prefix)s) order by name limit 50
"""

# The built-in ticks, and those that some process has run.
TICKS: Final[LiteralString] = """
select name
from (select name from delta_tick union select unnest(%(built_in)s::text[])) as tick
where starts_with(name, %(prefix)s)
order by name
limit 50
"""

# Workers that are there.
WORKERS: Final[LiteralString] = """
select id::text
from delta_worker
where state in ('running', 'draining') and starts_with(id::text, %(prefix)s)
order by id
limit 50
"""

# The key begins with the ids, so those with a prefix lie together where it begins; however the
# database collates, no more than some thousand are looked at.
OBJECT_IDS: Final[LiteralString] = """
select distinct object_id::text
from (
    select object_id, kind
    from delta_resource
    where object_id >= %(prefix)s
    order by object_id
    limit 2000
) as near
where starts_with(object_id, %(prefix)s)
and (%(kind)s::text is null or kind = %(kind)s)
order by 1
limit 50
"""
