"""The load generator of the closed loops: wrk, which costs 0.1 ms of a processor a request beside the server."""

import json
import random
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.server import ServerFailed
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
    """What came of a closed loop."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float


def check() -> None:
    """Raises WrkMissing."""
    if shutil.which("wrk") is None:
        raise WrkMissing


def closed_loop(url: str, workload: Workload, *, seconds: int) -> tuple[Sent, float]:
    """Every connection sends its next request when its last is answered.

    Beside what wrk tells, the tokens a second by the server's own count between two looks while the loop runs: what wrk
    has counted when it stops lacks all that is under way, which of requests that take seconds is most.
    """
    with _running(url + "/v1/embeddings", workload.bodies, workload.connections, SETTLE_S + seconds) as process:
        time.sleep(SETTLE_S)
        before, began = tokens_computed(url), time.monotonic()
        time.sleep(seconds - ENDS_EARLY_S)
        computed, took = tokens_computed(url) - before, time.monotonic() - began
        return _sent(process), computed / took


def closed_loop_at(url: str, bodies: Sequence[bytes], *, connections: int, seconds: int) -> Sent:
    """The same for any server, at that very URL."""
    with _running(url, bodies, connections, seconds) as process:
        return _sent(process)


@contextmanager
def _running(url: str, bodies: Sequence[bytes], connections: int, seconds: int) -> Iterator["subprocess.Popen[str]"]:
    with tempfile.NamedTemporaryFile("wb") as file:
        file.write(b"\n".join(bodies))
        file.flush()
        start = random.randrange(len(bodies))  # noqa: S311  # another part of them each round
        command = [
            "wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s",
            "--timeout", f"{ANSWER_WITHIN_S}s", "--script", str(REPLAY), url, "--", file.name, str(start),
        ]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
            yield process


def _sent(process: "subprocess.Popen[str]") -> Sent:
    """Wait for the end. Raises ServerFailed where nothing was answered, or anything with an error."""
    told, _ = process.communicate()
    if process.returncode:
        raise ServerFailed(f"wrk failed\n{told}")
    result = json.loads(told.splitlines()[-1])
    if result.pop("failed"):
        raise ServerFailed(f"not every request was answered with 200\n{told}")
    if not result["requests"]:
        raise ServerFailed(f"nothing was answered in {result['seconds']} s")
    return Sent(result.pop("requests") / result.pop("seconds"), **result)


def tokens_computed(url: str) -> float:
    """All tokens, and positions of pictures, that were in a batch since the server started."""
    return sum(value for name, value in metrics(url).items() if name.startswith("headlight_batch_tokens_sum"))


def metrics(url: str) -> dict[str, float]:
    """The server's metrics by name and labels, as they are written."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:  # noqa: S310  # loopback
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def pauses(url: str) -> dict[str, float]:
    """How often the server's garbage collector stopped it, from its metrics."""
    found = metrics(url)
    count, short = found["headlight_gc_pause_seconds_count"], found['headlight_gc_pause_seconds_bucket{le="0.01"}']
    return {"gc_pauses": count, "gc_pauses_over_10_ms": count - short}
