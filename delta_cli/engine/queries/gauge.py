"""The limits that hold across the fleet, as those see them who look."""

from typing import Final, LiteralString

# Every limit across the fleet, with how much of it is granted and used.
QUOTAS: Final[LiteralString] = """
select scope, name, slot_limit, granted, used, workers, updated_at
from delta_quota
order by scope, name
"""
