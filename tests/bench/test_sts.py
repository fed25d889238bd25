"""Tests of the STS benchmark over HTTP."""

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench import sts
from bench.server import ROOT
from tests.server import Server, serve

PAIRS = [
    ("0.2", "the old lamp", "a keeper reads"),
    ("5.0", 'the "sea and the light', 'the "sea and the light'),
    ("1.5", "a light", "the sea ."),
    ("1.5", "keeper and keeper", "lamp"),
]


@pytest.fixture(scope="module")
def server(tiny: Path) -> Iterator[Server]:
    with serve(tiny) as running:
        yield running


def write_table(path: Path, *rows: tuple[str, ...]) -> Path:
    lines = ["split\tscore\tsentence1\tsentence2", *("\t".join(("test", *row)) for row in rows)]
    path.write_bytes(gzip.compress("\n".join(lines).encode()) if path.suffix == ".gz" else "\n".join(lines).encode())
    return path


def test_spearman_averages_tied_ranks() -> None:
    # Of ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: covariance 4.5 over the root of 4.5 times 5.
    found = sts.spearman(np.array([0.1, 0.2, 0.2, 0.9]), np.array([1.0, 20.0, 300.0, 4000.0]))
    assert found == pytest.approx(4.5 / np.sqrt(4.5 * 5))


@pytest.mark.parametrize("name", ["pairs.tsv", "pairs.tsv.gz"])
def test_sts_measures_served_model(server: Server, tmp_path: Path, name: str) -> None:
    path = write_table(tmp_path / name, *PAIRS)
    pairs = sts.read_pairs(path)
    assert pairs.first[1] == pairs.second[1] == 'the "sea and the light'
    command = [sys.executable, "-m", "bench.sts", server.url, "tiny", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"tiny: Spearman {100 * sts.measure(server.url, 'tiny', pairs):.2f} on 4 pairs\n"
    assert 0.2 < sts.measure(server.url, "tiny", pairs) <= 1  # the pair of equal sentences comes first


@pytest.mark.parametrize(
    "content", [b"", b"a\tb\n1\t2", b"score\tsentence1\tsentence2\nhigh\ta\tb", b"\x1f\x8b..", b"\xff"]
)
def test_sts_rejects_malformed_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.tsv"
    path.write_bytes(content)
    with pytest.raises(sts.TableError, match=r"wrong\.tsv is not a table with the columns score, sentence1, sentence2"):
        sts.read_pairs(path)


def test_sts_reports_unknown_model(server: Server, tmp_path: Path) -> None:
    path = write_table(tmp_path / "pairs.tsv", *PAIRS)
    command = [sys.executable, "-m", "bench.sts", server.url, "other", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"not measured: {server.url}/v1/embeddings returned 404")
