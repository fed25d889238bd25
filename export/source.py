"""What a Hugging Face or sentence-transformers directory says about the encoder in it.

Reads JSON only. Pooling, normalisation and the token limit come from the sentence-transformers files where they
are present; a plain Hugging Face directory is pooled by the mean and normalised.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.errors import SourceError
from models.contract.artifact import TOKENIZER_FILE
from models.contract.manifest import Pooling
from models.pretrained import ARCHITECTURES

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


@dataclass(frozen=True)
class Source:
    """A text encoder to export. `position_offset` is the position id of the first token."""

    directory: Path
    architecture: str
    width: int
    layers: int
    heads: int
    vocabulary_size: int
    max_tokens: int
    position_offset: int
    pooling: Pooling
    normalize: bool


def read(directory: Path) -> Source:
    """Raises SourceError when the directory is no text encoder that can be exported."""
    config = _json(directory / "config.json")
    architecture = config.get("model_type")
    if architecture not in ARCHITECTURES:
        raise SourceError(f"model_type {architecture!r} cannot be exported; known: {', '.join(ARCHITECTURES)}")
    for names in (WEIGHTS, (TOKENIZER_FILE,)):
        if not any((directory / name).is_file() for name in names):
            raise SourceError(f"{directory} has no {' or '.join(names)}")
    position_offset = 0 if architecture == "bert" else int(config["pad_token_id"]) + 1
    pooling, normalize = _pooling(directory)
    return Source(
        directory=directory,
        architecture=architecture,
        width=int(config["hidden_size"]),
        layers=int(config["num_hidden_layers"]),
        heads=int(config["num_attention_heads"]),
        vocabulary_size=int(config["vocab_size"]),
        max_tokens=_max_tokens(directory, int(config["max_position_embeddings"]) - position_offset),
        position_offset=position_offset,
        pooling=pooling,
        normalize=normalize,
    )


def _pooling(directory: Path) -> tuple[Pooling, bool]:
    """Pooling and normalisation from modules.json, which lists the stages by their class."""
    if not (directory / "modules.json").is_file():
        return "mean", True
    stages = {str(stage["type"]).rpartition(".")[2]: str(stage["path"]) for stage in _json(directory / "modules.json")}
    unknown = stages.keys() - {"Transformer", "Pooling", "Normalize"}
    if unknown:
        raise SourceError(f"modules.json has stages that cannot be exported: {', '.join(sorted(unknown))}")
    if "Pooling" not in stages:
        return "mean", "Normalize" in stages
    return _pooling_mode(_json(directory / stages["Pooling"] / "config.json")), "Normalize" in stages


def _pooling_mode(config: dict[str, Any]) -> Pooling:
    """The one mode of a Pooling config: `pooling_mode` by name, or flags as older releases wrote it."""
    known: dict[str, Pooling] = {"mean": "mean", "mean_tokens": "mean", "cls": "cls", "cls_token": "cls"}
    prefix = "pooling_mode_"
    modes = [key.removeprefix(prefix) for key, value in config.items() if key.startswith(prefix) and value is True]
    if isinstance(config.get("pooling_mode"), str):
        modes = [config["pooling_mode"]]
    if len(modes) != 1 or modes[0] not in known:
        raise SourceError(f"pooling {'+'.join(modes) or 'none'} cannot be exported; known: mean, cls")
    return known[modes[0]]


def _max_tokens(directory: Path, positions: int) -> int:
    """The sentence-transformers limit where there is one, and never more than there are positions."""
    path = directory / "sentence_bert_config.json"
    limit = _json(path).get("max_seq_length") if path.is_file() else None
    return min(int(limit), positions) if limit else positions


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
