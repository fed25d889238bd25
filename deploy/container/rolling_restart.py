"""Rolling restart of three containers behind HAProxy under load: `python -m deploy.container.rolling_restart IMAGE`.

It needs haproxy, and Locust for the load (`loadtests/`): run it with a Python that has it. They are restarted for as
long as Locust runs, and it ends with Locust's own code: 1 where a request failed. `--strict` takes the balancer's
retries away: then what the servers lose is lost.
"""

import argparse
import csv
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deploy.container.container_runtime import CheckFailed, Container, run_container

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "deploy/haproxy/haproxy.cfg"
BALANCER_PORT = 3990
PORTS = (3991, 3992, 3993)
SHUTDOWN_DELAY_MS = 5_000
UP_TIMEOUT_S, STOP_TIMEOUT_S = 60, 60


def main(options: argparse.Namespace) -> int:
    """Return what Locust does."""
    with ExitStack() as stack:
        servers = [stack.enter_context(run_server(options.image, port)) for port in PORTS]
        for each in servers:
            each.wait_until_ready()
        statistics = stack.enter_context(run_balancer(strict=options.strict))
        wait_until_all_up(statistics)
        locust = stack.enter_context(run_locust(options.rate, options.seconds))
        time.sleep(5)
        restarts = 0
        while locust.poll() is None:
            slot = restarts % len(PORTS)
            signaled_at = time.monotonic()
            servers[slot].signal("TERM")
            code = servers[slot].process.wait(STOP_TIMEOUT_S)
            stopped_after_s = time.monotonic() - signaled_at
            servers[slot] = stack.enter_context(run_server(options.image, PORTS[slot]))
            ready_after_s = servers[slot].wait_until_ready()
            restarts += 1
            print(
                f"{restarts}: {PORTS[slot]} stopped in {stopped_after_s:.1f} s ({code}), "
                f"ready after {ready_after_s:.1f} s",
                flush=True,
            )
            wait_until_all_up(statistics)
        print(f"{'FAILED' if locust.returncode else 'ok'}: {restarts} restarts, Locust exit code {locust.returncode}")
        return locust.returncode


@contextmanager
def run_server(image: str, port: int) -> Iterator[Container]:
    """On that port of the host."""
    settings = ("--env", f"HEADLIGHT_SHUTDOWN_DELAY_MS={SHUTDOWN_DELAY_MS}", "--env", "HEADLIGHT_ACCESS_LOG=false")
    with run_container(image, "--network", "host", *settings, port=port) as container:
        yield container


@contextmanager
def run_balancer(*, strict: bool) -> Iterator[Path]:
    """HAProxy before them; the socket on which it says what it sees."""
    config = CONFIG.read_text()
    if strict:
        config = config.replace("retries 3", "retries 0").replace("retry-on conn-failure empty", "retry-on none #")
    bound = {f"HEADLIGHT_{name}": f"127.0.0.1:{port}" for name, port in zip("ABC", PORTS, strict=True)}
    with tempfile.TemporaryDirectory() as folder:
        statistics = Path(folder) / "statistics"
        file = Path(folder) / "haproxy.cfg"
        file.write_text(config.replace("global\n", f"global\n    stats socket {statistics} level user\n"))
        environment = {**os.environ, **bound, "HEADLIGHT_BIND": f"127.0.0.1:{BALANCER_PORT}"}
        with run_process(["haproxy", "-db", "-f", str(file)], environment):
            yield statistics


def wait_until_all_up(statistics: Path) -> None:
    """Until the balancer sends to all of them: before, no other may leave. Raises CheckFailed."""
    deadline = time.monotonic() + UP_TIMEOUT_S
    while time.monotonic() < deadline:
        if statistics.exists() and server_statuses(statistics) == ["UP"] * len(PORTS):
            return
        time.sleep(0.1)
    raise CheckFailed(f"not all servers are up in HAProxy after {UP_TIMEOUT_S} s")


def server_statuses(statistics: Path) -> list[str]:
    """Of each server, what the balancer takes it to be."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(statistics))
        connection.sendall(b"show stat\n")
        with connection.makefile() as answer:
            rows = csv.DictReader(answer.read().removeprefix("# ").splitlines())
    return [row["status"] for row in rows if row["pxname"] == "headlights" and row["svname"] != "BACKEND"]


@contextmanager
def run_locust(rate: float, seconds: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run Locust in an open loop: `rate` short texts per second, regardless of the responses."""
    run_options = ["--headless", "--only-summary", "--host", f"http://127.0.0.1:{BALANCER_PORT}", "--reports", ""]
    load_options = [
        "--rate",
        str(rate),
        "--text-length",
        "short",
        "--run-time",
        f"{seconds}s",
        "--slo",
        "fail=0",
        "TextUser",
    ]
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests/locustfile.py"), *run_options, *load_options]
    with run_process(command, {**os.environ, "PYTHONPATH": str(ROOT)}) as locust:
        yield locust


@contextmanager
def run_process(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that ends with the context."""
    process = subprocess.Popen(command, env=environment, cwd=ROOT)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Three containers behind HAProxy, restarted one after another.")
    parser.add_argument("image")
    parser.add_argument("--seconds", type=int, default=300, help="duration in seconds (%(default)s)")
    parser.add_argument("--rate", type=float, default=50, help="requests a second (%(default)s)")
    parser.add_argument("--strict", action="store_true", help="disable HAProxy's retries")
    sys.exit(main(parser.parse_args()))
