"""Fixtures: the embeddings that every client must get."""

import numpy as np
import pytest

from tests.clients.reference import TEXTS, embed
from tests.server import Server


@pytest.fixture(scope="package")
def expected(server: Server) -> np.ndarray:
    """The vectors of TEXTS."""
    return embed(server, TEXTS)


@pytest.fixture(scope="package")
def expected_64(server: Server) -> np.ndarray:
    """The same, cut to 64 dimensions."""
    return embed(server, TEXTS, dimensions=64)
