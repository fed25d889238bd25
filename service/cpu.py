"""CPUs available to this process, and the number of concurrent batches on them."""

import os
from math import ceil
from pathlib import Path

MAX_CONCURRENT_BATCHES = 4
"""Batches at a time. Measured on two processors only; with more than this a batch may use several (docs/adr/0011)."""

_CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1_QUOTA = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
_CGROUP_V1_PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


def concurrent_batches(threads: int) -> int:
    """Return the best number of concurrent batches for `threads` threads."""
    return min(threads, MAX_CONCURRENT_BATCHES)


def available_cpus() -> int:
    """Return the number of CPUs in the process's affinity mask, or its cgroup quota rounded up if that is less."""
    affinity_cpus = len(os.sched_getaffinity(0))
    cgroup_limit = _cgroup_cpu_limit()
    return affinity_cpus if cgroup_limit is None else max(1, min(affinity_cpus, ceil(cgroup_limit)))


def _cgroup_cpu_limit() -> float | None:
    """Return the cgroup's CPU quota in CPUs; None if unlimited."""
    if _CGROUP_V2.exists():
        quota, period = _CGROUP_V2.read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    if _CGROUP_V1_QUOTA.exists():
        quota_us = int(_CGROUP_V1_QUOTA.read_text())
        return None if quota_us <= 0 else quota_us / int(_CGROUP_V1_PERIOD.read_text())
    return None
