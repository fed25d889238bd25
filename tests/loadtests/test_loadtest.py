"""The load test: seeded texts, a check that can fail, and a run against a real server."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.server import ROOT
from loadtests.payloads import prose
from tests.conftest import MINILM
from tests.server import Server


def test_the_same_seed_gives_the_same_texts_of_the_lengths_asked_for() -> None:
    first, again, other = (list(itertools.islice(prose.texts(seed), 300)) for seed in (1, 1, 2))
    assert first == again != other
    words = [len(text.split()) for text in first]
    assert min(words) >= prose.MIXED[0]
    assert max(words) < prose.MIXED[1]
    assert len(set(words)) > 30


def run_locust(server: Server, reports: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless", "--only-summary"]
    limits = ["--users", "4", "--spawn-rate", "4", "--run-time", "3s"]
    where = ["--host", server.url, "--html", str(reports / "report.html")]
    return subprocess.run([*command, *limits, *where, *options], cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_a_run_ends_with_one_json_object_and_a_report(server: Server, tmp_path: Path) -> None:
    done = run_locust(server, tmp_path, "--attention-share", "0.5")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["failures"] == 0
    assert summary["requests"] > 10
    assert 0 < summary["p50_ms"] <= summary["p95_ms"] <= summary["p99_ms"]
    assert "<html" in (tmp_path / "report.html").read_text().lower()


def test_wrong_answers_are_failures(server: Server, tmp_path: Path) -> None:
    done = run_locust(server, tmp_path, "--model", f"not-{MINILM}")
    assert done.returncode == 1
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["failures"] == summary["requests"] > 0


@pytest.mark.parametrize("words", [prose.SHORT, prose.LONG])
def test_prose_is_cut_to_the_word(words: tuple[int, int]) -> None:
    for text in itertools.islice(prose.texts(0, words), 50):
        assert words[0] <= len(text.split()) < words[1]
