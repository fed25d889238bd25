"""Layout of a source: sentence-transformers lists its stages in modules.json, by class and folder.

The encoder is the first stage, in the root or in a folder of its own. Stages are known by the whole path of their
class, which moved in releases 5.4 and 6.0; a class outside sentence-transformers is code that is never run.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, RootModel

from export.errors import SourceError
from export.source_checks import parse, resolve_folder
from models.filenames import CONFIG_FILE

MODULES_FILE = "modules.json"

StageKind = Literal["Transformer", "CLIPModel", "Pooling", "Dense", "Dropout", "Normalize"]

_MODULES: dict[StageKind, str] = {
    "Transformer": "transformer",
    "CLIPModel": "clip_model",
    "Pooling": "pooling",
    "Dense": "dense",
    "Dropout": "dropout",
    "Normalize": "normalize",
}
_PACKAGES = ("sentence_transformers.sentence_transformer.modules", "sentence_transformers.base.modules")
_OLD_PACKAGE = "sentence_transformers.models"

_KINDS: dict[str, StageKind] = {
    path: kind
    for kind, module in _MODULES.items()
    for path in (
        f"{_OLD_PACKAGE}.{kind}",
        f"{_OLD_PACKAGE}.{kind}.{kind}",
        *(f"{package}{part}.{kind}" for package in _PACKAGES for part in ("", f".{module}")),
    )
}

_SPLADE_ENCODERS, _SPLADE_POOLING = ("MLMTransformer", "Transformer"), "SpladePooling"
"""Stages of a sparse encoder: the first is the encoder, with its head over the vocabulary."""

_OTHER_TASKS = {
    "MLMTransformer": "a sparse encoder (SPLADE)",
    "SpladePooling": "a sparse encoder (SPLADE)",
    "SparseAutoEncoder": "a sparse encoder",
    "LogitScore": "a reranker (cross-encoder)",
    "MultiVectorMask": "a multi-vector encoder (ColBERT)",
    "HierarchicalTokenPooling": "a multi-vector encoder (ColBERT)",
}
"""Classes of sentence-transformers whose models return something other than one embedding."""


class _Module(BaseModel):
    """One entry of modules.json."""

    type: str
    path: str = ""


@dataclass(frozen=True)
class Stage:
    """One step from text to vector, and the folder of its config."""

    kind: StageKind
    folder: Path


@dataclass(frozen=True)
class SourceLayout:
    """Paths of a source: `encoder` has the config, the weights and the tokenizer; `root` the files of
    sentence-transformers.

    `stages` is None without a modules.json. `other_task` says what modules.json describes in place of an embedding
    model; `splade` is the folder of a sparse encoder's reduction; `parents`, that the folder of the encoder was given;
    `headless`, that the encoder of a model with a trained head is exported by itself.
    """

    root: Path
    encoder: Path
    stages: tuple[Stage, ...] | None = None
    other_task: str | None = None
    splade: Path | None = None
    parents: bool = False
    headless: bool = False

    def without_stages(self) -> "SourceLayout":
        """Return the encoder by itself."""
        return replace(self, stages=None, other_task=None, headless=True)

    @property
    def notes(self) -> tuple[str, ...]:
        read = self.stages is not None and self.parents
        return (f"pooling and normalization are those of ../{MODULES_FILE}",) if read else ()


def find_layout(directory: Path) -> SourceLayout:
    """Return the layout of a source: its root, or the folder of the encoder. Raises SourceError."""
    if (directory / MODULES_FILE).is_file():
        return _read_modules(directory)
    parent = directory.absolute().parent
    root = directory.parent if directory.name else parent
    if directory.is_dir() and directory.absolute().name in _encoder_folders(root):
        return replace(_read_modules(root), parents=True)
    return SourceLayout(directory, directory)


def _encoder_folders(root: Path) -> tuple[str, ...]:
    """Return the folder of the first stage if `root` has a readable modules.json."""
    if not (root / MODULES_FILE).is_file():
        return ()
    try:
        modules = parse(root / MODULES_FILE, RootModel[list[_Module]]).root
    except SourceError:
        return ()  # the parent of a plain directory may hold anything
    return tuple(Path(module.path).name for module in modules[:1] if module.path)


def _read_modules(root: Path) -> SourceLayout:
    path = root / MODULES_FILE
    modules = parse(path, RootModel[list[_Module]]).root
    if not modules:
        raise SourceError(f"{path} lists no stage; the first is the encoder, a Transformer")
    encoder = resolve_folder(root, modules[0].path, path)
    if _is_splade(modules):
        return SourceLayout(root, encoder, splade=resolve_folder(root, modules[1].path, path))
    other = next((task for module in modules if (task := _other_task(module.type))), None)
    if other:
        return SourceLayout(root, encoder, None, other)
    stages = tuple(Stage(_stage_kind(path, module.type), resolve_folder(root, module.path, path)) for module in modules)
    return SourceLayout(root, encoder, stages)


class _SpladePooling(BaseModel):
    """How a sparse encoder reduces the logits of a text's tokens."""

    model_config = ConfigDict(extra="allow")

    pooling_strategy: str = "max"
    activation_function: str = "relu"


def check_splade_pooling(folder: Path) -> None:
    """Raise SourceError for a reduction of the logits that is not the one that is exported."""
    path = folder / CONFIG_FILE
    pooling = parse(path, _SpladePooling)
    if (pooling.pooling_strategy, pooling.activation_function) != ("max", "relu"):
        raise SourceError(
            f"{path} reduces the logits by {pooling.pooling_strategy} and {pooling.activation_function}; exported is "
            "the max of log(1 + relu)"
        )


def _is_splade(modules: list[_Module]) -> bool:
    names = [module.type.rpartition(".")[2] for module in modules]
    packages = {module.type.partition(".")[0] for module in modules}
    return names[1:] == [_SPLADE_POOLING] and names[0] in _SPLADE_ENCODERS and packages == {"sentence_transformers"}


def _other_task(type_path: str) -> str | None:
    package, last = type_path.partition(".")[0], type_path.rpartition(".")[2]
    if package == "pylate":
        return "a multi-vector encoder (ColBERT, of PyLate)"
    return _OTHER_TASKS.get(last) if package == "sentence_transformers" else None


def _stage_kind(path: Path, type_path: str) -> StageKind:
    if type_path in _KINDS:
        return _KINDS[type_path]
    if type_path.startswith("sentence_transformers."):
        known = ", ".join(_MODULES)
        raise SourceError(f"{path} has an unsupported stage: {type_path}; supported: {known}")
    raise SourceError(
        f"{path} has the type {type_path!r}, a class of its own, whose code is never run; put "
        f"{_OLD_PACKAGE}.Transformer (or Pooling) there if that computes the same"
    )
