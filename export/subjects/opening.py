"""From a directory to a subject: our own checkpoints and Hugging Face's say in config.json which they are."""

from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from export.errors import SourceError
from export.source import Source, read
from export.subjects.base import Subject
from export.subjects.image import ImageSubject
from export.subjects.text import Original, TextSubject
from models.contract.manifest import AttentionSpec, TextSpec
from models.encoders.checkpoint import CONFIG_FILE, CheckpointError
from models.layers.errors import ConfigError
from models.pretrained import PACKED, PackedTextEncoder, load

_OBJECT = TypeAdapter(dict[str, Any])


def open_subject(directory: Path) -> Subject:
    """Read the directory and load the encoder in it. Raises SourceError."""
    if _is_ours(directory / CONFIG_FILE):
        try:
            return ImageSubject(directory)
        except (CheckpointError, ConfigError) as error:
            raise SourceError(str(error)) from error
    return _huggingface_text(read(directory))


def _is_ours(config: Path) -> bool:
    """Our configs name their `kind`, Hugging Face's their `model_type`. A config that cannot be read is not ours."""
    try:
        return "kind" in _OBJECT.validate_json(config.read_bytes())
    except (OSError, ValidationError):
        return False


def _huggingface_text(source: Source) -> TextSubject:
    try:
        model = load(source.directory, attention=PACKED)
    except (OSError, RuntimeError, SafetensorError, ValueError) as error:
        raise SourceError(f"the weights cannot be loaded: {error}") from error
    return TextSubject(
        source.architecture,
        source.directory,
        PackedTextEncoder(model, source.pooling),
        lambda: _eager(source),
        text=TextSpec(
            max_tokens=source.max_tokens,
            vocabulary_size=source.vocabulary_size,
            position_offset=source.position_offset,
        ),
        attention=AttentionSpec(heads=(source.heads,) * source.layers),
        embedding=(source.width, source.normalize),
    )


def _eager(source: Source) -> Original:
    """The trained encoder in float64 with its own eager attention."""
    model = load(source.directory, attention="eager").double()

    def run(ids: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        positions = torch.arange(len(ids)) + source.position_offset
        out = model(input_ids=ids[None], position_ids=positions[None], output_attentions=True)
        return out.last_hidden_state, out.attentions

    return run
