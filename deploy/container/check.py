"""Does an image keep what is promised of it? `python -m deploy.container.check IMAGE`, on Linux with docker or podman.

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
from deploy.container.engine import CheckFailed, ask, further, running

ROOT = Path(__file__).resolve().parents[2]
ALONE = ("--network", "none")
READY_S, SIZE_MB, GONE_S = 15, 700, 5
CLIENTS = 16
PORT = 3997
"""Of the host, for what is asked under load."""
ASK = """
import sys, urllib.request
body = sys.argv[2].encode() if sys.argv[2:] else None
asked = urllib.request.Request(sys.argv[1], body, {"Content-Type": "application/json"})
print(urllib.request.urlopen(asked).read().decode())
"""


def confined_and_right(image: str) -> str:
    """Ready in time without a network, as nobody, and answers what the README says."""
    with running(image, *ALONE) as container:
        took = container.wait_until_ready()
        status = dict(re.findall(r"^(\w+):\s+(.*)$", container.inside("cat", "/proc/1/status"), re.MULTILINE))
        if int(status["Uid"].split()[0]) < 10_000 or int(status["CapEff"], 16) or status["NoNewPrivs"] != "1":
            raise CheckFailed(f"it runs as {status['Uid']} with {status['CapEff']}")
        golden(lambda url, body: container.inside("python3", "-c", ASK, url, body))
        if took > READY_S:
            raise CheckFailed(f"ready after {took:.1f} s")
    return f"ready after {took:.1f} s, as uid {status['Uid'].split()[0]}, and answers as the README says"


def golden(post: Callable[[str, str], str]) -> None:
    """The README's first request has its first answer. Raises CheckFailed."""
    readme = (ROOT / "README.md").read_text()
    url, body = re.search(r"curl -s (\S+/v1/embeddings) .*?-d '(.*?)'", readme, re.DOTALL).groups()  # type: ignore[union-attr]
    told = json.loads(re.search(r'```json\n({"object": "list".*?)```', readme, re.DOTALL).group(1))  # type: ignore[union-attr]
    answer = json.loads(post(url, body))
    for wanted, got in zip(told["data"][0]["embedding"], answer["data"][0]["embedding"], strict=True):
        if abs(wanted - got) > 1e-3:
            raise CheckFailed(f"{got} where the README says {wanted}")


def small(image: str) -> str:
    """Its size, without the artifacts."""
    size = int(ask("image", "inspect", "--format", "{{.Size}}", image))
    counted = "import pathlib; print(sum(p.stat().st_size for p in pathlib.Path('/artifacts').glob('*/*')))"
    artifacts = int(ask("run", "--rm", *further(), *ALONE, "--entrypoint", "python3", image, "-c", counted))
    megabytes = (size - artifacts) / 1e6
    if megabytes > SIZE_MB:
        raise CheckFailed(f"{megabytes:.0f} MB without the artifacts")
    return f"{megabytes:.0f} MB, and {artifacts / 1e6:.0f} MB of artifacts"


def leaves(image: str) -> str:
    """SIGTERM under load: all that was connected is answered, and it ends with 0."""
    with running(image, "--network", "host", port=PORT) as container:
        container.wait_until_ready()
        with load.loaded(PORT, CLIENTS) as counts:
            time.sleep(2)
            told = time.monotonic()
            container.signal("TERM")
            code = container.process.wait(60)
            took = time.monotonic() - told
        said = container.said()
    if code or counts[load.LOST] or set(counts) - {"200", load.REFUSED, load.LOST}:
        raise CheckFailed(f"ended with {code}, {dict(counts)}: {said}")
    return f"answered {counts['200']}, lost none, and ended {took:.1f} s after SIGTERM"


def gone(image: str) -> str:
    """SIGKILL under load: the container ends."""
    with running(image, "--network", "host", port=PORT) as container:
        container.wait_until_ready()
        with load.loaded(PORT, 2):
            told = time.monotonic()
            container.signal("KILL")
            code = container.process.wait(60)
            took = time.monotonic() - told
    if took > GONE_S or code == 0:
        raise CheckFailed(f"ended with {code} after {took:.1f} s")
    return f"ended with {code}, {took:.1f} s after SIGKILL"


def mounted(image: str) -> str:
    """One's own artifacts over the baked-in ones: they alone are served."""
    name = "scenes-vit"
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "artifacts" / name, Path(folder) / name)
        Path(folder).chmod(0o755)
        with running(image, *ALONE, "--volume", f"{folder}:/artifacts:ro") as container:
            container.wait_until_ready()
            answer = json.loads(container.inside("python3", "-c", ASK, "http://127.0.0.1:3000/v1/models"))
    served = [model["id"] for model in answer["data"]]
    if served != [name]:
        raise CheckFailed(f"it serves {served} where {name} was mounted")
    return f"serves what was mounted, {name}, alone"


def flipped(image: str) -> str:
    """A flipped byte in a baked-in file, put in its place by a mount: it is not served, and named."""
    file = "all-MiniLM-L6-v2/weights.bin"
    with tempfile.TemporaryDirectory() as folder:
        bad = Path(folder) / "weights.bin"
        shutil.copyfile(ROOT / "artifacts" / file, bad)
        with bad.open("r+b") as opened:
            opened.seek(bad.stat().st_size // 2)
            byte = opened.read(1)
            opened.seek(-1, 1)
            opened.write(bytes([byte[0] ^ 1]))
        Path(folder).chmod(0o755)
        with running(image, *ALONE, "--volume", f"{bad}:/artifacts/{file}:ro") as container:
            code = container.process.wait(60)
            said = [line for line in container.said().splitlines() if file in line]
    if code == 0 or not said:
        raise CheckFailed(f"ended with {code}, and did not name {file}")
    return f"ended with {code}: {said[-1]}"


CHECKS = (confined_and_right, small, leaves, gone, mounted, flipped)


def main(image: str) -> int:
    """Return 1 where a promise is broken."""
    broken = 0
    for check in CHECKS:
        try:
            print(f"ok      {check.__name__}: {check(image)}", flush=True)
        except CheckFailed as failure:
            broken += 1
            print(f"BROKEN  {check.__name__}: {failure}", flush=True)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
