"""Polling for a condition, however long it takes on a busy machine."""

import time
from collections.abc import Callable

WAIT_TIMEOUT_S = 60
"""For what is there within a second on a machine that does nothing else."""


def eventually(condition: Callable[[], bool], timeout_s: float = WAIT_TIMEOUT_S) -> bool:
    """Whether it comes true in that time."""
    deadline = time.monotonic() + timeout_s
    while not (result := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return result
