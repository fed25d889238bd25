"""Tests of the number of processors, in a container and outside of one."""

import os
from pathlib import Path

import pytest

from service import cpu


@pytest.fixture(autouse=True)
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cgroup's files without a limit in them, on a machine of eight processors."""
    for name in ("_CGROUP_V2", "_CGROUP_V1_QUOTA", "_CGROUP_V1_PERIOD"):
        monkeypatch.setattr(cpu, name, tmp_path / name)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    return tmp_path


def test_no_cgroup_limit_uses_cpu_affinity() -> None:
    assert cpu.available_cpus() == 8


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1), ("1600000 100000", 8)],
)
def test_cgroup_v2_quota_is_rounded_up(cgroup: Path, limit: str, expected: int) -> None:
    (cgroup / "_CGROUP_V2").write_text(limit + "\n")
    assert cpu.available_cpus() == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", 8), ("300000", 3)])
def test_cgroup_v1_quota(cgroup: Path, quota: str, expected: int) -> None:
    (cgroup / "_CGROUP_V1_QUOTA").write_text(quota)
    (cgroup / "_CGROUP_V1_PERIOD").write_text("100000")
    assert cpu.available_cpus() == expected


def test_concurrent_batches_do_not_exceed_threads() -> None:
    assert [cpu.concurrent_batches(threads) for threads in (1, 2, 4, 64)] == [
        1,
        2,
        4,
        cpu.MAX_CONCURRENT_BATCHES,
    ]
