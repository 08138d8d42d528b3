"""Requests to cancel running works: each is for one claim, until its worker has heeded it."""

from typing import Final, LiteralString

# Ask the worker of a running work to cancel it, and tell the state that the resource is in; no row:
# there is no such resource. Requests that nobody took in a day are of workers that died.
REQUEST: Final[LiteralString] = """
with found as materialized (
    select id, state, term, worker_id
    from delta_resource
    where kind = %(kind)s and namespace = %(namespace)s and object_id = %(object_id)s
), forgotten as (
    delete from delta_cancel
    where requested_at <= now() - interval '1 day'
    and resource_id <> all(array(select id from found))
), requested as (
    insert into delta_cancel (resource_id, term, worker_id, actor)
    select id, term, worker_id, %(actor)s
    from found
    where state = 'pending'
    on conflict (resource_id) do update
    set term = excluded.term,
        worker_id = excluded.worker_id,
        actor = excluded.actor,
        requested_at = now()
)
select state::text from found
"""

# What a worker is asked to cancel.
ASKED: Final[LiteralString] = """
select resource_id, term, actor from delta_cancel where worker_id = %(worker_id)s
"""

# It has heeded these; a later request for another claim of the same resource stays.
FORGET: Final[LiteralString] = """
delete from delta_cancel as request
using unnest(%(resource_ids)s::bigint[], %(terms)s::int[]) as heeded(resource_id, term)
where request.resource_id = heeded.resource_id
and request.term = heeded.term
"""
