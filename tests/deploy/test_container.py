"""Tests of the image without building it, and of its health check against a real server."""

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

from bench.server import ROOT, START_TIMEOUT_S, STOP_TIMEOUT_S, server_environment
from service import VERSION
from service.ops.healthcheck import is_ready
from service.settings import Settings
from tests.external_programs import require_program
from tests.polling import eventually
from tests.server import Server

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


def instruction(name: str) -> str:
    (value,) = [rest for found, rest in DOCKERFILE if found == name]
    return value


def test_entrypoint_is_the_service() -> None:
    assert json.loads(instruction("ENTRYPOINT"))[:3] == ["python3", "-m", "service"]
    assert instruction("STOPSIGNAL") == "SIGTERM"
    assert not [name for name, _ in DOCKERFILE if name in ("CMD", "SHELL", "ADD")]


def test_user_is_unprivileged() -> None:
    user, group = instruction("USER").split(":")
    assert int(user) >= 10_000
    assert int(group) >= 10_000


def test_base_image_is_versioned() -> None:
    (base,) = [rest.removeprefix("BASE=") for name, rest in DOCKERFILE if name == "ARG" and rest.startswith("BASE=")]
    assert re.search(r":\d+\.\d+-slim-\w+$", base)
    stages = {rest.split()[-1] for name, rest in DOCKERFILE if name == "FROM" and " AS " in rest}
    froms = {rest.split()[0] for name, rest in DOCKERFILE if name == "FROM"}
    assert froms <= stages | {"${BASE}", "${DEVICE}"}
    assert {"cpu", "gpu"} <= stages


def test_installed_packages_are_hashed() -> None:
    installs = [rest for name, rest in DOCKERFILE if name == "RUN" and " install " in rest]
    assert installs
    assert all("--require-hashes" in install and "--no-deps" in install for install in installs)
    for file in LOCKED.glob("*.txt"):
        packages = re.split(r"\n(?=\S)", file.read_text().strip())
        assert all(PINNED.match(package) and "--hash=sha256:" in package for package in packages), file.name


def test_locked_versions_match_tested_versions() -> None:
    locked = dict(PINNED.findall("".join((LOCKED / name).read_text() for name in ("serving.txt", "cpu.txt"))))
    tested = dict(PINNED.findall((ROOT / "requirements/serve.txt").read_text()))
    assert {name.lower().replace("_", "-"): version for name, version in locked.items()} == {
        name.lower().replace("_", "-"): version for name, version in tested.items()
    }
    gpu = dict(PINNED.findall((LOCKED / "gpu.txt").read_text()))
    assert gpu["onnxruntime-gpu"] == tested["onnxruntime"]
    assert {"nvidia-cublas", "nvidia-cudnn-cu13"} <= gpu.keys()


def test_gpu_image_requires_cuda() -> None:
    after = DOCKERFILE[DOCKERFILE.index(("FROM", "common AS gpu")) + 1]
    assert "HEADLIGHT_DEVICE=cuda" in after[1]
    assert Settings.model_fields["device"].default == "auto"


def test_build_script_reads_version() -> None:
    command = re.search(r'"VERSION=\$\((.*)\)"', (ROOT / "deploy/container/build").read_text())
    assert command
    found = subprocess.run(["bash", "-c", command[1]], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == VERSION


HEALTHCHECK = [sys.executable, "-I", "-S", str(ROOT / "service/ops/healthcheck.py")]


def run_healthcheck(port: int) -> int:
    return subprocess.run([*HEALTHCHECK, "--port", str(port)], check=False, timeout=30).returncode


def test_image_healthcheck_runs_script() -> None:
    _, command = instruction("HEALTHCHECK").split(" CMD ")
    assert json.loads(command) == ["python3", "-I", "-S", "/app/service/ops/healthcheck.py"]


def test_healthcheck_reports_readiness(server: Server) -> None:
    assert eventually(lambda: run_healthcheck(int(server.url.rpartition(":")[2])) == 0), (
        "within the 2 s that it gives an answer"
    )
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert run_healthcheck(unused.getsockname()[1]) == 1


@pytest.mark.parametrize("answer", [b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b""])
def test_healthcheck_fails_without_200(answer: bytes) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        subprocess.Popen([*HEALTHCHECK, f"--port={listening.getsockname()[1]}"]) as healthcheck,
    ):
        accepted, _ = listening.accept()
        with accepted:
            accepted.recv(1_000)
            accepted.sendall(answer)
        assert healthcheck.wait(30) == 1


def test_healthcheck_uses_port_of_first_process(server: Server) -> None:
    """As `docker run IMAGE --port=...` adds it to what the image says."""
    port = server.url.rpartition(":")[2]
    argv = ["python3", "-m", "service", "--host", "0.0.0.0", "--port", "3000", f"--port={port}", "--backlog=7", ""]  # noqa: S104
    assert is_ready(argv)
    assert is_ready(["/sbin/docker-init", "--", *argv])
    assert not is_ready([*argv, "--port", "1"])
    assert not is_ready([*argv, "--host", "host.invalid"])


def test_healthcheck_uses_tls_like_server(server: Server) -> None:
    """To the plain server a handshake is no HTTP; who must show a certificate sees that it listens."""
    plain = ["--port", server.url.rpartition(":")[2]]
    assert not is_ready([*plain, "--ssl-certfile", "cert.pem"])
    assert is_ready([*plain, "--ssl-certfile", "cert.pem", "--ssl-cert-reqs=2"])


def test_healthcheck_connects_with_tls(tmp_path: Path, tiny: Path) -> None:
    request_options = [
        "-keyout",
        f"{tmp_path}/key",
        "-out",
        f"{tmp_path}/cert",
        "-subj",
        "/CN=headlight",
        "-days",
        "1",
        "-nodes",
    ]
    subprocess.run(
        [require_program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", *request_options],
        check=True,
        capture_output=True,
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        options = ["--port", str(free.getsockname()[1]), f"--ssl-certfile={tmp_path}/cert", "--ssl-keyfile"]
    command = [sys.executable, "-m", "service", *options, f"{tmp_path}/key"]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | server_environment([tiny], {})) as serving:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not is_ready(options) and serving.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        was_ready = is_ready(options)
        serving.terminate()
        assert serving.wait(STOP_TIMEOUT_S) == 0
    assert was_ready
