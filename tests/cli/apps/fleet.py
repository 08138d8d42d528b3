"""The shop, whose workers notice soon that one of them is dead, and find work soon."""

from dataclasses import replace
from datetime import timedelta

import shop

config = replace(
    shop.config,
    poll_interval=timedelta(seconds=0.1),
    heartbeat_interval=timedelta(seconds=0.3),
    worker_lost_after=timedelta(seconds=3),
    rescue_interval=timedelta(seconds=0.3),
)
