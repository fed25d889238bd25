"""Fixtures: trained checkpoints from the directory of `make test-checkpoints`."""

from pathlib import Path

import pytest

from bench.server import ROOT

FOLDER = ROOT / ".cache/checkpoints"


def _fetched(name: str) -> Path:
    path = FOLDER / name
    assert path.is_dir(), "run `make test-checkpoints`, which fetches the checkpoints first"
    return path


@pytest.fixture(scope="session")
def mpnet_source() -> Path:
    """sentence-transformers/all-mpnet-base-v2, whole: 12 layers, 768 wide, 438 MB."""
    return _fetched("all-mpnet-base-v2")


@pytest.fixture(scope="session")
def splade_source() -> Path:
    """A BERT of 2 layers with a masked-LM head that was trained as SPLADE's, and `heads.pt`, a pickle."""
    return _fetched("cognition/model")
