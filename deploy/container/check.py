"""Test of an image: `python -m deploy.container.check IMAGE`, on Linux with docker or podman.

It starts the image read-only, without capabilities and, where nothing is asked over the host's network, without any.
One line a promise; ends with 1 where one does not hold. It takes a minute or two.
"""

import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from deploy.container import load
from deploy.container.container_runtime import CheckFailed, extra_run_args, run_command, run_container

ROOT = Path(__file__).resolve().parents[2]
NO_NETWORK = ("--network", "none")
MAX_READY_S, MAX_SIZE_MB, MAX_KILL_S = 15, 700, 5
CLIENTS = 16
PORT = 3997
"""Of the host, for what is asked under load."""
REQUEST_SCRIPT = """
import sys, urllib.request
body = sys.argv[2].encode() if sys.argv[2:] else None
request = urllib.request.Request(sys.argv[1], body, {"Content-Type": "application/json"})
print(urllib.request.urlopen(request).read().decode())
"""


def runs_confined(image: str) -> str:
    """Ready in time without a network, as nobody, and answers what the README says."""
    with run_container(image, *NO_NETWORK) as container:
        ready_s = container.wait_until_ready()
        status = dict(re.findall(r"^(\w+):\s+(.*)$", container.execute("cat", "/proc/1/status"), re.MULTILINE))
        if int(status["Uid"].split()[0]) < 10_000 or int(status["CapEff"], 16) or status["NoNewPrivs"] != "1":
            raise CheckFailed(f"runs as uid {status['Uid']} with capabilities {status['CapEff']}")
        check_readme_example(lambda url, body: container.execute("python3", "-c", REQUEST_SCRIPT, url, body))
        if ready_s > MAX_READY_S:
            raise CheckFailed(f"ready after {ready_s:.1f} s")
    return f"ready after {ready_s:.1f} s, as uid {status['Uid'].split()[0]}, and responds as documented in README.md"


def check_readme_example(post: Callable[[str, str], str]) -> None:
    """Check that the README's first request gets the documented response. Raises CheckFailed."""
    readme = (ROOT / "README.md").read_text()
    url, body = re.search(r"curl -s (\S+/v1/embeddings) .*?-d '(.*?)'", readme, re.DOTALL).groups()  # type: ignore[union-attr]
    example = json.loads(re.search(r'```json\n({"object": "list".*?)```', readme, re.DOTALL).group(1))  # type: ignore[union-attr]
    answer = json.loads(post(url, body))
    for expected, got in zip(example["data"][0]["embedding"], answer["data"][0]["embedding"], strict=True):
        if abs(expected - got) > 1e-3:
            raise CheckFailed(f"embedding value {got}, README.md has {expected}")


def image_size(image: str) -> str:
    """Its size, without the artifacts."""
    size = int(run_command("image", "inspect", "--format", "{{.Size}}", image))
    script = "import pathlib; print(sum(p.stat().st_size for p in pathlib.Path('/artifacts').glob('*/*')))"
    artifacts = int(
        run_command("run", "--rm", *extra_run_args(), *NO_NETWORK, "--entrypoint", "python3", image, "-c", script)
    )
    megabytes = (size - artifacts) / 1e6
    if megabytes > MAX_SIZE_MB:
        raise CheckFailed(f"{megabytes:.0f} MB without the artifacts")
    return f"{megabytes:.0f} MB, and {artifacts / 1e6:.0f} MB of artifacts"


def graceful_stop(image: str) -> str:
    """SIGTERM under load: all that was connected is answered, and it ends with 0."""
    with run_container(image, "--network", "host", port=PORT) as container:
        container.wait_until_ready()
        with load.client_load(PORT, CLIENTS) as counts:
            time.sleep(2)
            signaled_at = time.monotonic()
            container.signal("TERM")
            code = container.process.wait(60)
            stopped_after_s = time.monotonic() - signaled_at
        log = container.read_log()
    if code or counts[load.LOST] or set(counts) - {"200", load.REFUSED, load.LOST}:
        raise CheckFailed(f"exit code {code}, {dict(counts)}: {log}")
    return f"{counts['200']} requests served, none lost, stopped {stopped_after_s:.1f} s after SIGTERM"


def hard_kill(image: str) -> str:
    """SIGKILL under load: the container ends."""
    with run_container(image, "--network", "host", port=PORT) as container:
        container.wait_until_ready()
        with load.client_load(PORT, 2):
            signaled_at = time.monotonic()
            container.signal("KILL")
            code = container.process.wait(60)
            stopped_after_s = time.monotonic() - signaled_at
    if stopped_after_s > MAX_KILL_S or code == 0:
        raise CheckFailed(f"exit code {code} after {stopped_after_s:.1f} s")
    return f"exit code {code}, {stopped_after_s:.1f} s after SIGKILL"


def mounted_artifacts(image: str) -> str:
    """One's own artifacts over the baked-in ones: they alone are served."""
    name = "scenes-vit"
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "artifacts" / name, Path(folder) / name)
        Path(folder).chmod(0o755)
        with run_container(image, *NO_NETWORK, "--volume", f"{folder}:/artifacts:ro") as container:
            container.wait_until_ready()
            answer = json.loads(container.execute("python3", "-c", REQUEST_SCRIPT, "http://127.0.0.1:3000/v1/models"))
    served = [model["id"] for model in answer["data"]]
    if served != [name]:
        raise CheckFailed(f"serves {served}, expected only the mounted {name}")
    return f"serves only the mounted artifact, {name}"


def corrupt_artifact(image: str) -> str:
    """Check that a flipped byte in a baked-in file, mounted over it, is named and not served."""
    file = "all-MiniLM-L6-v2/weights.bin"
    with tempfile.TemporaryDirectory() as folder:
        corrupt = Path(folder) / "weights.bin"
        shutil.copyfile(ROOT / "artifacts" / file, corrupt)
        with corrupt.open("r+b") as opened:
            opened.seek(corrupt.stat().st_size // 2)
            byte = opened.read(1)
            opened.seek(-1, 1)
            opened.write(bytes([byte[0] ^ 1]))
        Path(folder).chmod(0o755)
        with run_container(image, *NO_NETWORK, "--volume", f"{corrupt}:/artifacts/{file}:ro") as container:
            code = container.process.wait(60)
            log_lines = [line for line in container.read_log().splitlines() if file in line]
    if code == 0 or not log_lines:
        raise CheckFailed(f"exit code {code}, log does not name {file}")
    return f"exit code {code}: {log_lines[-1]}"


CHECKS = (runs_confined, image_size, graceful_stop, hard_kill, mounted_artifacts, corrupt_artifact)


def main(image: str) -> int:
    """Return 1 where a promise is broken."""
    failures = 0
    for check in CHECKS:
        try:
            print(f"ok      {check.__name__}: {check(image)}", flush=True)
        except CheckFailed as failure:
            failures += 1
            print(f"FAILED  {check.__name__}: {failure}", flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
