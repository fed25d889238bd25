"""Arrival times of an open loop, independent of the server and of earlier requests."""

import random
from collections.abc import Iterator
from typing import Literal

ArrivalPattern = Literal["poisson", "constant"]


def arrival_times(rate: float, start: float, pattern: ArrivalPattern, rng: random.Random) -> Iterator[float]:
    """Yield start times without end, `rate` per second, from `start` on.

    "poisson" draws gaps as independent clients make them; "constant" leaves equal ones, after a first that is drawn, so
    that several who send do not all do so at once.
    """
    at = start + rng.random() / rate
    while True:
        yield at
        at += rng.expovariate(rate) if pattern == "poisson" else 1 / rate
