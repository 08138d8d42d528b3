"""Advisory locks that hold a tick for one process, and the life of the session that has them."""

from typing import Final, LiteralString

# Take a lock for this session, unless another has it.
TRY_LOCK: Final[LiteralString] = """
select pg_try_advisory_lock(%(lock_id)s)
"""

# The same for this transaction.
TRY_LOCK_IN_TRANSACTION: Final[LiteralString] = """
select pg_try_advisory_xact_lock(%(lock_id)s)
"""

# Give a lock of this session back.
UNLOCK: Final[LiteralString] = """
select pg_advisory_unlock(%(lock_id)s)
"""

# Let the server end this session when it says nothing for so long.
GUARD_SESSION: Final[LiteralString] = """
select set_config('idle_session_timeout', %(milliseconds)s, false)
"""

# The same for this transaction.
GUARD_TRANSACTION: Final[LiteralString] = """
select set_config('idle_in_transaction_session_timeout', %(milliseconds)s, true)
"""

# Still here.
PING: Final[LiteralString] = """
select 1
"""

# Who has a lock: its key stands there in two halves. What others' sessions are called, only some
# may see.
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
