"""The load generator of the closed loops: wrk, which costs 0.1 ms of a processor a request beside the server."""

import json
import random
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.workloads import Workload

REPLAY = Path(__file__).with_name("replay.lua")
ANSWER_WITHIN_S = 60


class WrkMissing(RuntimeError):
    """Nothing can be measured over HTTP."""

    def __init__(self) -> None:
        super().__init__("wrk is not installed; on Debian: apt-get install wrk")


@dataclass(frozen=True)
class Sent:
    """What came of a closed loop."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def check() -> None:
    """Raises WrkMissing."""
    if shutil.which("wrk") is None:
        raise WrkMissing


def closed_loop(url: str, workload: Workload, *, seconds: int) -> Sent:
    """Every connection sends its next request when its last is answered. Raises if any answer is not 200."""
    bodies = workload.bodies
    with tempfile.NamedTemporaryFile("wb") as file:
        file.write(b"\n".join(bodies))
        file.flush()
        start = random.randrange(len(bodies))  # noqa: S311  # another part of them each round
        command = [
            "wrk", "--threads", "1", "--connections", str(workload.connections), "--duration", f"{seconds}s",
            "--timeout", f"{ANSWER_WITHIN_S}s", "--script", str(REPLAY), url, "--", file.name, str(start),
        ]  # fmt: skip
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    result = json.loads(told.splitlines()[-1])
    if result.pop("failed"):
        raise RuntimeError(f"{workload.name}: not every request was answered with 200\n{told}")
    return Sent(**result)
