"""Containers of one image, confined as a careful operator would; they end with the context.

`CONTAINER_ENGINE` is the command that runs them, with its own options ("podman --runtime runc"); `RUN_ARGS` are further
options of its `run`.
"""

import os
import shlex
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

RUNTIMES = ("docker", "podman")
CONFINEMENT_ARGS = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
HEALTHCHECK = ("python3", "-I", "-S", "/app/service/ops/healthcheck.py")
"""As the image's HEALTHCHECK: it finds out by itself where the server listens."""

COMMAND_TIMEOUT_S = 60
"""No single command of an engine takes longer."""


class CheckFailed(RuntimeError):
    """What is promised does not hold."""


@cache
def runtime_command() -> tuple[str, ...]:
    """Return the container engine's command. Raises CheckFailed if none works: docker's client may lack its daemon."""
    configured = os.environ.get("CONTAINER_ENGINE") or os.environ.get("ENGINE")
    if configured:
        return tuple(shlex.split(configured))
    for name in RUNTIMES:
        if shutil.which(name) and not subprocess.run([name, "info"], capture_output=True, check=False).returncode:
            return (name,)
    raise CheckFailed("no working docker or podman found; set CONTAINER_ENGINE")


def extra_run_args() -> list[str]:
    """Return this machine's extra arguments for `run`, from RUN_ARGS."""
    return shlex.split(os.environ.get("RUN_ARGS", ""))


def run_command(*arguments: str) -> str:
    """Run one command of the container runtime and return its output. Raises CheckFailed."""
    done = subprocess.run(
        [*runtime_command(), *arguments], capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
    )
    if done.returncode:
        raise CheckFailed(f"{' '.join(arguments[:3])}: {done.stderr.strip()}")
    return done.stdout.strip()


@dataclass(frozen=True)
class Container:
    """One that was started; `process` is the engine's own, in the foreground, and ends with the container's code."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    started_at: float

    def execute(self, *arguments: str) -> str:
        """Run a command in the container and return its output. Raises CheckFailed."""
        return run_command("exec", self.name, *arguments)

    def signal(self, name: str) -> None:
        """To its first process."""
        run_command("kill", "--signal", name, self.name)

    def wait_until_ready(self, timeout_s: float = 120) -> float:
        """Seconds since it was started. Raises CheckFailed where it ends, or is not ready in time."""
        while time.monotonic() < self.started_at + timeout_s:
            if self.process.poll() is not None:
                raise CheckFailed(f"container exited before it was ready: {self.read_log()}")
            try:
                self.execute(*HEALTHCHECK)
            except CheckFailed:
                time.sleep(0.2)
            else:
                return time.monotonic() - self.started_at
        raise CheckFailed(f"container not ready after {timeout_s:g} s: {self.read_log()}")

    def read_log(self) -> str:
        """All that it wrote."""
        return self.log.read_text(errors="replace")


@contextmanager
def run_container(image: str, *options: str, port: int = 3000, arguments: Sequence[str] = ()) -> Iterator[Container]:
    """Run a container with these options, listening on `port` of its own or, with `--network host`, the host's."""
    name = f"headlight-{uuid.uuid4().hex[:8]}"
    argv = [
        *runtime_command(),
        "run",
        "--rm",
        "--name",
        name,
        *CONFINEMENT_ARGS,
        *extra_run_args(),
        *options,
        image,
        f"--port={port}",
    ]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as file:
            started = time.monotonic()
            process = subprocess.Popen([*argv, *arguments], stdout=file, stderr=file)
        try:
            yield Container(name, process, log, started)
        finally:
            if process.poll() is None:
                subprocess.run(
                    [*runtime_command(), "kill", name],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    check=False,
                )
                process.wait(COMMAND_TIMEOUT_S)
