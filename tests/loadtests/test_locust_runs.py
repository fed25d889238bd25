"""Tests of Locust runs as a user starts them: against a stub server, and against the real one."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.server import ROOT
from loadtests import compare
from tests.conftest import MINILM
from tests.polling import eventually
from tests.server import Server


@dataclass(frozen=True)
class StubServer:
    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def run_stub(file: Path | None = None) -> Iterator[StubServer]:
    command = [sys.executable, "-m", "tests.loadtests.stub_server", *([str(file)] if file else [])]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        try:
            yield StubServer(f"http://127.0.0.1:{int(process.stdout.readline())}", process)
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()


@pytest.fixture(scope="module")
def stub() -> Iterator[StubServer]:
    with run_stub() as running:
        yield running


def run_locust(host: str, *options: str, reports: Path | str = "") -> tuple[int, dict[str, Any], str]:
    """Exit code, the object that the last line is, and all that was said."""
    command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless", "--only-summary"]
    done = subprocess.run(
        [*command, "--host", host, "--reports", str(reports), *options],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.stdout.splitlines(), done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr


def stall(stub: StubServer, bodies: Path) -> None:
    """For four seconds, three after the first request has come."""
    eventually(lambda: bodies.stat().st_size > 0)
    time.sleep(3)
    os.kill(stub.process.pid, signal.SIGSTOP)
    time.sleep(4)
    os.kill(stub.process.pid, signal.SIGCONT)


def test_open_loop_counts_stall_in_p99(tmp_path: Path) -> None:
    """At 100 requests a second, 4 seconds long: users who wait for their answers would hardly have noticed."""
    with run_stub(tmp_path / "bodies") as stub_server:
        freeze = threading.Thread(target=stall, args=(stub_server, tmp_path / "bodies"))
        freeze.start()
        options = ("--rate", "100", "--arrivals", "constant", "--run-time", "12s", "--warm-up", "1")
        code, found, _ = run_locust(stub_server.url, *options, "--slo", "p99=1s", "TextUser")
        freeze.join()
    assert found["p99_ms"] >= 3_000
    assert found["offered_per_s"] == pytest.approx(100, rel=0.02), "however long the run took to end"
    assert found["requests"] + found["dropped"] >= 1_176, "none was left out"
    assert found["in_flight"] == 0
    assert code == 1
    assert any("p99" in miss for miss in found["slo"]["violations"])


def test_generator_sustains_1000_per_s_or_reports_saturation(stub: StubServer) -> None:
    """At one of three times: the machine may have kept the stub from answering, too."""
    for _ in range(3):
        code, found, said = run_locust(stub.url, "--rate", "1000", "--run-time", "5s", "TextUser")
        assert code == int(found["dropped"] > 0)
        assert ("Load generator saturated" in said) == found["generator"]["saturated"]
        if found["requests_per_s"] >= 950 or found["generator"]["saturated"]:
            return
    raise AssertionError(found)


def test_dropped_requests_are_counted(tmp_path: Path) -> None:
    with run_stub(tmp_path / "bodies") as stub_server:
        os.kill(stub_server.process.pid, signal.SIGSTOP)
        options = ("--rate", "50", "--max-in-flight", "20", "--run-time", "4s", "--warm-up", "0", "--timeout", "3")
        code, found, said = run_locust(stub_server.url, *options, "TextUser")
    assert code == 1
    assert found["dropped"] > 100
    assert found["requests"] == found["failures"] <= 40
    assert "requests dropped" in said


def test_seed_determines_request_bytes(tmp_path: Path) -> None:
    options = ("--rate", "60", "--arrivals", "constant", "--run-time", "3s", "--warm-up", "0", "--attention-share", "0")
    sent = []
    for name, seed in (("first", "1"), ("again", "1"), ("other", "2")):
        with run_stub(tmp_path / name) as running:
            run_locust(running.url, *options, "--seed", seed, "MixedUser")
        sent.append((tmp_path / name).read_bytes().splitlines())
    shortest = min(map(len, sent))
    assert shortest > 150
    first, again, other = map(Counter, sent)
    # In any order: of two that are on their way at once either can be first. One run may have been longer.
    assert first <= again or again <= first
    assert (first & other).total() < shortest / 2


@pytest.mark.parametrize("user", ["TextUser", "ImageUser", "AttentionUser", "MixedUser"])
def test_user_class_gets_valid_responses(both: Server, user: str, tmp_path: Path) -> None:
    options = ("--users", "3", "--run-time", "3s", "--warm-up", "0.5", "--words", "short")
    code, found, said = run_locust(both.url, *options, user, reports=tmp_path)
    assert code == 0, said
    assert "deprecated option: name=--words use=--text-length" in said
    assert found["loop"] == "closed"
    assert found["requests"] > 3
    assert 0 < found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"] <= found["max_ms"]
    assert set(found["stages"]) == {"preprocess", "queue", "inference", "serialize", "total"}
    assert sum(found["batches"].values()) > 0
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") >= 4
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page), "it asks for nothing else"
    assert (tmp_path / "phases.csv").read_text().count("\n") == 2
    assert (tmp_path / "seconds.csv").read_text().count("\n") >= 3


def test_error_status_counts_as_failure(server: Server) -> None:
    code, found, _ = run_locust(
        server.url, "--users", "2", "--run-time", "2s", "--text-model", f"not-{MINILM}", "TextUser"
    )
    assert code == 1
    assert found["failures"] == found["requests"] > 0
    assert found["problems"] == {"status 404": found["failures"]}


def test_unreachable_server_counts_as_failures() -> None:
    code, found, _ = run_locust("http://127.0.0.1:9", "--rate", "20", "--run-time", "2s", "TextUser")
    assert code == 1
    assert found["failures"] == found["requests"] > 0
    assert list(found["problems"]) == ["no response: ConnectionRefusedError"]


def test_steps_report_each_phase(stub: StubServer, tmp_path: Path) -> None:
    options = ("--rate", "80", "--shape", "steps", "--steps", "4", "--run-time", "8s", "--slo", "fail=0")
    code, found, _ = run_locust(stub.url, *options, "TextUser", reports=tmp_path)
    assert code == 0
    assert [phase["level"] for phase in found["phases"]] == [20, 40, 60, 80]
    for phase in found["phases"]:
        assert phase["offered_per_s"] == pytest.approx(phase["level"], rel=0.5)
    assert "Against rate" in (tmp_path / "report.html").read_text()


def test_search_reports_max_passing_rate(stub: StubServer) -> None:
    options = ("--rate", "300", "--shape", "search", "--run-time", "1s", "--warm-up", "0", "--slo", "p99=30ms,fail=0")
    code, found, said = run_locust(stub.url, *options, "TextUser")
    levels = [phase["level"] for phase in found["phases"]]
    assert len(levels) >= 2
    right = [each["level"] for each in found["phases"] if not each["dropped"] and each["p99_ms"] <= 30]
    assert found["max_passing_rate"] == max(right, default=None)
    assert code == int(found["max_passing_rate"] is None), said


def test_workers_share_rate_and_report_to_master(stub: StubServer) -> None:
    options = ("--processes", "2", "--rate", "60", "--run-time", "6s", "--warm-up", "1", "TextUser")
    code, found, said = run_locust(stub.url, *options)
    assert code == 0, said
    assert found["requests"] == pytest.approx(360, rel=0.25)
    assert found["failures"] == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--slo", "p99=soon"], "examples:"),
        (["--attention-share", "1.5"], "from 0 to 1"),
        (["--rate", "-1"], "less than 0"),
        (["--text-length", "none"], "invalid choice"),
        (["--inputs-per-request", "0"], "at least 1"),
        (["--shape", "steps"], "requires --run-time"),
        (["--shape", "search", "--slo", "p99=1s", "--run-time", "1s"], "requires --slo and --rate"),
    ],
)
def test_invalid_options_are_rejected(options: list[str], says: str) -> None:
    command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert says in done.stderr


def test_compare_runs_both_servers(stub: StubServer, capsys: pytest.CaptureFixture[str]) -> None:
    with run_stub() as other:
        rounds = ["--a", stub.url, "--b", other.url, "--rounds", "1"]
        code = compare.main([*rounds, "--", "--rate", "20", "--run-time", "2s", "TextUser"])
    lines = capsys.readouterr().out.splitlines()
    found = json.loads(lines[-1])
    assert code == 0
    assert found["requests_per_s"]["b_over_a"] == pytest.approx(1, rel=0.5)
    assert any("b / a" in line for line in lines)


def test_compare_has_no_ratio_to_zero() -> None:
    figures = compare.compare([dict.fromkeys(compare.FIGURES, 0)], [dict.fromkeys(compare.FIGURES, 1)])
    assert figures["p99_ms"] == {"a": 0, "b": 1, "b_over_a": None}
    assert "p99_ms" in compare.format_table(figures)
