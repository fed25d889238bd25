"""What can be seen of the image without building it, and the probe against a real server."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.server import ROOT, START_S, STOP_S, environment
from service import VERSION
from service.probe import ready
from service.settings import Settings
from tests.programs import needed
from tests.server import Server
from tests.waiting import eventually

LOCKED = ROOT / "requirements/locked"
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


def instructions() -> Iterator[tuple[str, str]]:
    """Of the Dockerfile, each on one line, without comments."""
    text = "\n".join(
        line for line in (ROOT / "deploy/container/Dockerfile").read_text().splitlines() if line[:1] != "#"
    )
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.partition(" ")
            yield name, " ".join(rest.split())


DOCKERFILE = list(instructions())


def the(name: str) -> str:
    (only,) = [rest for found, rest in DOCKERFILE if found == name]
    return only


def test_the_first_process_is_the_one_that_serves() -> None:
    assert json.loads(the("ENTRYPOINT"))[:3] == ["python3", "-m", "service"]
    assert the("STOPSIGNAL") == "SIGTERM"
    assert not [name for name, _ in DOCKERFILE if name in ("CMD", "SHELL", "ADD")]


def test_it_runs_as_nobody() -> None:
    user, group = the("USER").split(":")
    assert int(user) >= 10_000
    assert int(group) >= 10_000


def test_every_base_is_named_with_a_version() -> None:
    (base,) = [rest.removeprefix("BASE=") for name, rest in DOCKERFILE if name == "ARG" and rest.startswith("BASE=")]
    assert re.search(r":\d+\.\d+-slim-\w+$", base)
    stages = {rest.split()[-1] for name, rest in DOCKERFILE if name == "FROM" and " AS " in rest}
    froms = {rest.split()[0] for name, rest in DOCKERFILE if name == "FROM"}
    assert froms <= stages | {"${BASE}", "${DEVICE}"}
    assert {"cpu", "gpu"} <= stages


def test_all_that_is_installed_is_hashed() -> None:
    installs = [rest for name, rest in DOCKERFILE if name == "RUN" and " install " in rest]
    assert installs
    assert all("--require-hashes" in install and "--no-deps" in install for install in installs)
    for file in LOCKED.glob("*.txt"):
        packages = re.split(r"\n(?=\S)", file.read_text().strip())
        assert all(PINNED.match(package) and "--hash=sha256:" in package for package in packages), file.name


def test_what_is_hashed_is_what_is_tested() -> None:
    locked = dict(PINNED.findall("".join((LOCKED / name).read_text() for name in ("serving.txt", "cpu.txt"))))
    told = dict(PINNED.findall((ROOT / "requirements/serve.txt").read_text()))
    assert {name.lower().replace("_", "-"): version for name, version in locked.items()} == {
        name.lower().replace("_", "-"): version for name, version in told.items()
    }
    gpu = dict(PINNED.findall((LOCKED / "gpu.txt").read_text()))
    assert gpu["onnxruntime-gpu"] == told["onnxruntime"]
    assert {"nvidia-cublas", "nvidia-cudnn-cu13"} <= gpu.keys()


def test_an_image_for_gpus_wants_one() -> None:
    after = DOCKERFILE[DOCKERFILE.index(("FROM", "common AS gpu")) + 1]
    assert "HEADLIGHT_DEVICE=cuda" in after[1]
    assert Settings.model_fields["device"].default == "auto"


def test_the_build_finds_the_version() -> None:
    command = re.search(r'"VERSION=\$\((.*)\)"', (ROOT / "deploy/container/build").read_text())
    assert command
    found = subprocess.run(["bash", "-c", command[1]], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == VERSION


PROBE = [sys.executable, "-I", "-S", str(ROOT / "service/probe.py")]


def probe(port: int) -> int:
    return subprocess.run([*PROBE, "--port", str(port)], check=False, timeout=30).returncode


def test_the_health_check_is_the_probe() -> None:
    _, command = the("HEALTHCHECK").split(" CMD ")
    assert json.loads(command) == ["python3", "-I", "-S", "/app/service/probe.py"]


def test_the_probe_tells_ready_from_not(server: Server) -> None:
    assert eventually(lambda: probe(int(server.url.rpartition(":")[2])) == 0), "within the 2 s that it gives an answer"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert probe(nobody.getsockname()[1]) == 1


@pytest.mark.parametrize("answer", [b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b""])
def test_what_is_no_200_is_not_ready(answer: bytes) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        subprocess.Popen([*PROBE, f"--port={listening.getsockname()[1]}"]) as asking,
    ):
        accepted, _ = listening.accept()
        with accepted:
            accepted.recv(1_000)
            accepted.sendall(answer)
        assert asking.wait(30) == 1


def test_the_probe_asks_where_the_first_process_was_told_to_listen(server: Server) -> None:
    """As `docker run IMAGE --port=...` adds it to what the image says."""
    port = server.url.rpartition(":")[2]
    told = ["python3", "-m", "service", "--host", "0.0.0.0", "--port", "3000", f"--port={port}", "--backlog=7", ""]  # noqa: S104
    assert ready(told)
    assert ready(["/sbin/docker-init", "--", *told])
    assert not ready([*told, "--port", "1"])
    assert not ready([*told, "--host", "host.invalid"])


def test_the_probe_speaks_tls_where_the_server_does(server: Server) -> None:
    """To the plain server a handshake is no HTTP; who must show a certificate sees that it listens."""
    plain = ["--port", server.url.rpartition(":")[2]]
    assert not ready([*plain, "--ssl-certfile", "cert.pem"])
    assert ready([*plain, "--ssl-certfile", "cert.pem", "--ssl-cert-reqs=2"])


def test_the_probe_by_tls(tmp_path: Path, tiny: Path) -> None:
    made = ["-keyout", f"{tmp_path}/key", "-out", f"{tmp_path}/cert", "-subj", "/CN=headlight", "-days", "1", "-nodes"]
    subprocess.run(
        [needed("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", *made], check=True, capture_output=True
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        options = ["--port", str(free.getsockname()[1]), f"--ssl-certfile={tmp_path}/cert", "--ssl-keyfile"]
    command = [sys.executable, "-m", "service", *options, f"{tmp_path}/key"]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | environment([tiny], {})) as serving:
        until = time.monotonic() + START_S
        while not ready(options) and serving.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        answered = ready(options)
        serving.terminate()
        assert serving.wait(STOP_S) == 0
    assert answered
