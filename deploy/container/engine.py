"""Containers of one image, confined as a careful operator would: started, looked at, and ended with the context.

`ENGINE` is the command that runs them, with its own options ("podman --runtime runc"); `RUN_ARGS` are further ones of
its `run`.
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

ENGINES = ("docker", "podman")
CONFINED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
PROBE = ("python3", "-I", "-S", "/app/service/probe.py")
"""As the image's HEALTHCHECK: it finds out by itself where the server listens."""

COMMAND_S = 60
"""No single command of an engine takes longer."""


class CheckFailed(RuntimeError):
    """What is promised does not hold."""


@cache
def command() -> tuple[str, ...]:
    """That of the engine. Raises CheckFailed where there is none that works: docker's client may lack its daemon."""
    told = os.environ.get("ENGINE")
    if told:
        return tuple(shlex.split(told))
    for name in ENGINES:
        if shutil.which(name) and not subprocess.run([name, "info"], capture_output=True, check=False).returncode:
            return (name,)
    raise CheckFailed("no docker and no podman that works here; or name one with ENGINE=")


def further() -> list[str]:
    """What `run` must be told on this machine."""
    return shlex.split(os.environ.get("RUN_ARGS", ""))


def ask(*arguments: str) -> str:
    """What the engine says to this. Raises CheckFailed."""
    done = subprocess.run([*command(), *arguments], capture_output=True, text=True, timeout=COMMAND_S, check=False)
    if done.returncode:
        raise CheckFailed(f"{' '.join(arguments[:3])}: {done.stderr.strip()}")
    return done.stdout.strip()


@dataclass(frozen=True)
class Container:
    """One that was started; `process` is the engine's own, in the foreground, and ends with the container's code."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    started: float

    def inside(self, *arguments: str) -> str:
        """What a command in it prints. Raises CheckFailed."""
        return ask("exec", self.name, *arguments)

    def signal(self, name: str) -> None:
        """To its first process."""
        ask("kill", "--signal", name, self.name)

    def wait_until_ready(self, timeout_s: float = 120) -> float:
        """Seconds since it was started. Raises CheckFailed where it ends, or is not ready in time."""
        while time.monotonic() < self.started + timeout_s:
            if self.process.poll() is not None:
                raise CheckFailed(f"it ended before it was ready: {self.said()}")
            try:
                self.inside(*PROBE)
            except CheckFailed:
                time.sleep(0.2)
            else:
                return time.monotonic() - self.started
        raise CheckFailed(f"it is not ready after {timeout_s:g} s: {self.said()}")

    def said(self) -> str:
        """All that it wrote."""
        return self.log.read_text(errors="replace")


@contextmanager
def running(image: str, *options: str, port: int = 3000, arguments: Sequence[str] = ()) -> Iterator[Container]:
    """A container with these options of `run`, listening on `port` of its own or, with `--network host`, the host's."""
    name = f"headlight-{uuid.uuid4().hex[:8]}"
    wanted = [*command(), "run", "--rm", "--name", name, *CONFINED, *further(), *options, image, f"--port={port}"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as file:
            started = time.monotonic()
            process = subprocess.Popen([*wanted, *arguments], stdout=file, stderr=file)
        try:
            yield Container(name, process, log, started)
        finally:
            if process.poll() is None:
                subprocess.run(
                    [*command(), "kill", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
                )
                process.wait(COMMAND_S)
