"""Load generator of the closed loops: wrk, which adds 0.1 ms of CPU time per request to the server's."""

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

from bench.server import ServerError
from bench.workloads import Workload

REPLAY_SCRIPT = Path(__file__).with_name("replay.lua")
RESPONSE_TIMEOUT_S = 60

WARM_UP_S = 1
"""Time before the first reading, until all clients are running."""

END_MARGIN_S = 0.2
"""Time between the second reading and the clients' end."""


class WrkMissing(RuntimeError):
    """Nothing can be measured over HTTP."""

    def __init__(self) -> None:
        super().__init__("wrk is not installed; on Debian: apt-get install wrk")


@dataclass(frozen=True)
class ClosedLoopResult:
    """What came of a closed loop."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float


def require_wrk() -> None:
    """Raise WrkMissing if wrk is not installed."""
    if shutil.which("wrk") is None:
        raise WrkMissing


def closed_loop(url: str, workload: Workload, *, seconds: int) -> tuple[ClosedLoopResult, float]:
    """Run a closed loop of `/v1/embeddings`, as `counted_loop` does."""
    return counted_loop(url, "/v1/embeddings", workload.bodies, connections=workload.connections, seconds=seconds)


def counted_loop(
    url: str, path: str, bodies: Sequence[bytes], *, connections: int, seconds: int
) -> tuple[ClosedLoopResult, float]:
    """Run a closed loop: each connection sends its next request when its last is answered.

    Return wrk's figures and the tokens per second by the server's own counter, read twice while the loop runs. wrk does
    not count the requests in flight when it stops; these are the majority if a request takes seconds.
    """
    with _start_wrk(url + path, bodies, connections, WARM_UP_S + seconds) as process:
        time.sleep(WARM_UP_S)
        before, started = count_computed_tokens(url), time.monotonic()
        time.sleep(seconds - END_MARGIN_S)
        computed, elapsed = count_computed_tokens(url) - before, time.monotonic() - started
        return _read_result(process), computed / elapsed


def closed_loop_url(url: str, bodies: Sequence[bytes], *, connections: int, seconds: int) -> ClosedLoopResult:
    """Run a closed loop against any server, at that exact URL."""
    with _start_wrk(url, bodies, connections, seconds) as process:
        return _read_result(process)


@contextmanager
def _start_wrk(url: str, bodies: Sequence[bytes], connections: int, seconds: int) -> Iterator["subprocess.Popen[str]"]:
    with tempfile.NamedTemporaryFile("wb") as file:
        file.write(b"\n".join(bodies))
        file.flush()
        start = random.randrange(len(bodies))  # noqa: S311  # another part of them each round
        command = [
            "wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s",
            "--timeout", f"{RESPONSE_TIMEOUT_S}s", "--script", str(REPLAY_SCRIPT), url, "--", file.name, str(start),
        ]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
            yield process


def _read_result(process: "subprocess.Popen[str]") -> ClosedLoopResult:
    """Wait for the end. Raises ServerError where nothing was answered, or anything with an error."""
    output, _ = process.communicate()
    if process.returncode:
        raise ServerError(f"wrk failed\n{output}")
    result = json.loads(output.splitlines()[-1])
    if result.pop("failed"):
        raise ServerError(f"some requests did not return 200\n{output}")
    if not result["requests"]:
        raise ServerError(f"no responses in {result['seconds']} s")
    return ClosedLoopResult(result.pop("requests") / result.pop("seconds"), **result)


def count_computed_tokens(url: str) -> float:
    """All tokens, and positions of images, that were in a batch since the server started."""
    return sum(value for name, value in scrape_metrics(url).items() if name.startswith("headlight_batch_tokens_sum"))


def scrape_metrics(url: str) -> dict[str, float]:
    """Scrape the server's metrics, by name and labels as written."""
    with urllib.request.urlopen(f"{url}/metrics") as response:  # noqa: S310  # loopback
        lines = response.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def count_gc_pauses(url: str) -> dict[str, float]:
    """How often the server's garbage collector stopped it, from its metrics."""
    values = scrape_metrics(url)
    count, short = values["headlight_gc_pause_seconds_count"], values['headlight_gc_pause_seconds_bucket{le="0.01"}']
    return {"gc_pauses": count, "gc_pauses_over_10_ms": count - short}
