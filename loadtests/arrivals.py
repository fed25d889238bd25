"""When requests are meant to start in an open loop: whatever the server does, and however late the last one is."""

import random
from collections.abc import Iterator
from typing import Literal

Pattern = Literal["poisson", "constant"]


def intended(rate: float, began: float, pattern: Pattern, source: random.Random) -> Iterator[float]:
    """Endless start times, `rate` a second, from `began` on.

    "poisson" draws gaps as independent clients make them; "constant" leaves equal ones, after a first that is drawn, so
    that several who send do not all do so at once.
    """
    at = began + source.random() / rate
    while True:
        yield at
        at += source.expovariate(rate) if pattern == "poisson" else 1 / rate
