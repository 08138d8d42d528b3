"""Advisory locks as an operator sees them: which session of the server has one."""

from typing import Final, LiteralString

# A key of 64 bits stands there in two halves. What others' sessions are called, only some may see.
HOLDER: Final[LiteralString] = """
select lock.pid, activity.application_name
from pg_locks as lock
left join pg_stat_activity as activity on activity.pid = lock.pid
where lock.locktype = 'advisory'
and lock.database = (select oid from pg_database where datname = current_database())
and lock.classid = ((%(lock_id)s::bigint >> 32) & 4294967295)::oid
and lock.objid = (%(lock_id)s::bigint & 4294967295)::oid
and lock.objsubid = 1
and lock.granted
limit 1
"""
