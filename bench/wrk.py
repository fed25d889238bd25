"""The load generator of the closed loops: wrk, which costs 0.1 ms of a processor a request beside the server."""

import json
import random
import shutil
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bench.workloads import Workload

REPLAY = Path(__file__).with_name("replay.lua")
ANSWER_WITHIN_S = 60

SETTLE_S = 1
"""Before it is looked how much is done, the clients are under way."""

ENDS_EARLY_S = 0.2
"""The second look is over before the clients stop."""


class WrkMissing(RuntimeError):
    """Nothing can be measured over HTTP."""

    def __init__(self) -> None:
        super().__init__("wrk is not installed; on Debian: apt-get install wrk")


@dataclass(frozen=True)
class Sent:
    """What came of a closed loop: items that the server computed in a second once it was busy, and latencies."""

    items_per_second: float
    p50_ms: float
    p99_ms: float


def check() -> None:
    """Raises WrkMissing."""
    if shutil.which("wrk") is None:
        raise WrkMissing


def closed_loop(url: str, workload: Workload, *, seconds: int) -> Sent:
    """Every connection sends its next request when its last is answered. Raises if any answer is not 200.

    The rate is the server's own count between two looks while the loop runs: what wrk has counted when it stops lacks
    all that is under way, which of requests that take seconds is most.
    """
    bodies = workload.bodies
    with tempfile.NamedTemporaryFile("wb") as file:
        file.write(b"\n".join(bodies))
        file.flush()
        start = random.randrange(len(bodies))  # noqa: S311  # another part of them each round
        command = [
            "wrk", "--threads", "1", "--connections", str(workload.connections),
            "--duration", f"{seconds + SETTLE_S}s", "--timeout", f"{ANSWER_WITHIN_S}s",
            "--script", str(REPLAY), url, "--", file.name, str(start),
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
        time.sleep(SETTLE_S)
        before, began = items_computed(url), time.monotonic()
        time.sleep(seconds - ENDS_EARLY_S)
        computed, took = items_computed(url) - before, time.monotonic() - began
        told, _ = process.communicate()
    latencies = json.loads(told.splitlines()[-1])
    if process.returncode or latencies.pop("failed"):
        raise RuntimeError(f"{workload.name}: not every request was answered with 200\n{told}")
    return Sent(computed / took, latencies["p50_ms"], latencies["p99_ms"])


def items_computed(url: str) -> float:
    """All items that were in a batch since the server started."""
    return sum(value for name, value in metrics(url).items() if name.startswith("headlight_batch_items_sum"))


def metrics(url: str) -> dict[str, float]:
    """The server's metrics by name and labels, as they are written."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:  # noqa: S310  # loopback
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}
