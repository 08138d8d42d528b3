"""Controllers: which kinds have one, and when each informer runs next."""

from typing import Final, LiteralString

# Make a kind known, with the settings of the application that started last. A kind that is new, or
# whose interval was switched on, is due for its first run at once; a shorter interval draws the
# next run nearer.
REGISTER: Final[LiteralString] = """
insert into delta_controller as known (
    kind, inform_interval, inform_due_at, parallelism, fleet_parallelism, object_schema
)
values (
    %(kind)s, %(inform_interval)s,
    case when %(inform_interval)s::interval is not null then now() end,
    %(parallelism)s, %(fleet_parallelism)s, %(object_schema)s
)
on conflict (kind) do update
set inform_interval = excluded.inform_interval,
    inform_due_at = case
        when excluded.inform_interval is not null
            then least(coalesce(known.inform_due_at, now()), now() + excluded.inform_interval)
    end,
    parallelism = excluded.parallelism,
    fleet_parallelism = excluded.fleet_parallelism,
    object_schema = excluded.object_schema,
    registered_at = now()
"""

# Every kind that has ever had a controller.
KINDS: Final[LiteralString] = """
select kind from delta_controller order by kind
"""
