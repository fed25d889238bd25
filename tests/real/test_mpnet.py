"""Tests of all-mpnet-base-v2, exported as a user would: equal to sentence-transformers over HTTP."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from bench.compare_server import fetch_embeddings
from export.options import ExportOptions
from export.quantization.quality import MIN_MEAN_COSINE, MIN_OVERLAP, NUM_NEIGHBORS
from models.artifact.arrays import Floats
from models.artifact.manifest import Manifest
from models.synthetic_corpus import generate_texts
from tests.export_cache import ExportCache
from tests.server import serve

GOLDEN = Path(__file__).parents[1] / "golden"
NAME = "all-mpnet-base-v2"
BATCH = 20


@pytest.fixture(scope="module")
def texts() -> list[str]:
    loaded: list[str] = json.loads((GOLDEN / "mpnet.json").read_text())
    return loaded


@pytest.fixture(scope="module")
def golden() -> Floats:
    return load_file(GOLDEN / "mpnet.safetensors")["embeddings"]


@contextmanager
def served(artifact: Path) -> Iterator[str]:
    with serve(artifact) as server:
        yield f"{server.url}/v1/embeddings"


def embed(artifact: Path, texts: list[str]) -> Floats:
    """`[n, 768]` over HTTP, in batches of texts of all lengths."""
    with served(artifact) as url:
        return np.concatenate([fetch_embeddings(url, NAME, texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)])


@pytest.mark.checkpoints
def test_embeddings_are_those_of_sentence_transformers(
    mpnet_source: Path, exports: ExportCache, texts: list[str], golden: Floats
) -> None:
    artifact = exports(mpnet_source, NAME, in_subprocess=True)
    text = Manifest.read(artifact).text
    assert text is not None
    assert (text.max_tokens, text.position_offset) == (384, 2)
    got = embed(artifact, texts)
    assert got.shape == golden.shape == (200, 768)
    assert (got * golden).sum(axis=1).min() >= 0.99999
    np.testing.assert_allclose(got, golden, atol=1e-5)


@pytest.mark.checkpoints_int8
def test_eight_bits_keep_neighbors(mpnet_source: Path, exports: ExportCache, texts: list[str], golden: Floats) -> None:
    """Vectors against sentence-transformers' own, neighbors among texts with topics: the golden texts have none."""
    reduced = exports(mpnet_source, NAME, ExportOptions(precision="int8"))
    assert (embed(reduced, texts) * golden).sum(axis=1).mean() >= MIN_MEAN_COSINE
    topical = generate_texts(len(texts), "gate")
    found, wanted = embed(reduced, topical), embed(exports(mpnet_source, NAME, in_subprocess=True), topical)
    kept = [len(np.intersect1d(*pair)) for pair in zip(nearest(found), nearest(wanted), strict=True)]
    assert np.mean(kept) >= MIN_OVERLAP * NUM_NEIGHBORS


def nearest(vectors: Floats) -> np.ndarray:
    """The ten nearest of each of `[n, e]`, itself left out."""
    closeness = vectors @ vectors.T
    np.fill_diagonal(closeness, -np.inf)
    return np.argsort(-closeness, axis=1, kind="stable")[:, :NUM_NEIGHBORS]
