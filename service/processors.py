"""How many processors this process may use, and how batches are laid on them."""

import os
from math import ceil
from pathlib import Path

MOST_SIDE_BY_SIDE = 4
"""Batches at a time. Measured on two processors only; with more than this a batch may use several (docs/adr/0011)."""

_CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1_QUOTA = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
_CGROUP_V1_PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


def side_by_side(threads: int) -> int:
    """Batches at a time that so many threads are best used by."""
    return min(threads, MOST_SIDE_BY_SIDE)


def available() -> int:
    """Those that the process is bound to, or as many whole ones as its container's share of time comes to."""
    bound = len(os.sched_getaffinity(0))
    share = _share()
    return bound if share is None else max(1, min(bound, ceil(share)))


def _share() -> float | None:
    """Processors' worth of time that the cgroup grants; None for no limit."""
    if _CGROUP_V2.exists():
        quota, period = _CGROUP_V2.read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    if _CGROUP_V1_QUOTA.exists():
        micros = int(_CGROUP_V1_QUOTA.read_text())
        return None if micros <= 0 else micros / int(_CGROUP_V1_PERIOD.read_text())
    return None
