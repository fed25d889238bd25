"""The vectors that every client must get, and a server that has pictures too."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.clients.plain import TEXTS, embed
from tests.server import Server, serve


@pytest.fixture(scope="package")
def expected(server: Server) -> np.ndarray:
    """The vectors of TEXTS."""
    return embed(server, TEXTS)


@pytest.fixture(scope="package")
def expected_64(server: Server) -> np.ndarray:
    """The same, cut to 64 dimensions."""
    return embed(server, TEXTS, dimensions=64)


@pytest.fixture(scope="package")
def pictured(minilm: Path, tiny_image: Path) -> Iterator[Server]:
    """A server of a text model and an image model."""
    with serve(minilm, tiny_image) as running:
        yield running
