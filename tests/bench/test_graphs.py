"""Tests of graph benchmarks: all compared ways return the same embeddings."""

from pathlib import Path

import numpy as np
import pytest

from bench import graphs
from bench.timing import medians_ms
from models.artifact import tensors
from models.artifact.artifact_files import GRAPH_FILE
from models.artifact.graph_inputs import pack
from models.artifact.manifest import Manifest
from service.runtime.session import Session


@pytest.mark.parametrize("lengths", [[5], [1, 9, 30], [3, 40, 1, 1, 7, 12, 40]])
def test_padded_and_packed_outputs_match(tiny: Path, lengths: list[int]) -> None:
    session = Session(tiny / GRAPH_FILE, Manifest.read(tiny).graph, device="cpu", threads=1)
    items = [np.random.default_rng(n).integers(0, 14, n) for n in lengths]
    wanted = (tensors.OUTPUT, tensors.pooled_reduction("rollout"))
    packed, padded = (session.run(wanted, feeds) for feeds in (pack(items), graphs.pad_batch(items)))
    for name in wanted:
        np.testing.assert_allclose(packed[name], padded[name], atol=1e-5)


def test_alternatives_run_interleaved() -> None:
    ran: list[str] = []
    took = medians_ms({"a": lambda: ran.append("a"), "b": lambda: ran.append("b")}, rounds=2)
    assert ran == ["a", "b"] * 3
    assert took.keys() == {"a", "b"}
