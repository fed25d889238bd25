"""Waiting for what comes by itself, and nobody knows when: on a busy machine, later."""

import time
from collections.abc import Callable

PATIENCE_S = 60
"""For what is there within a second on a machine that does nothing else."""


def eventually(true: Callable[[], bool], seconds: float = PATIENCE_S) -> bool:
    """Whether it comes true in that time."""
    give_up = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < give_up:
        time.sleep(0.02)
    return found
