"""Our own checkpoints as subjects: the registry builds the encoder that config.json names."""

import copy
from pathlib import Path

import torch
from torch import Tensor

from export.errors import SourceError
from export.subjects.base import Subject
from export.subjects.image import ImageSubject
from export.subjects.text import Original, TextSubject
from models.contract.artifact import TOKENIZER_FILE
from models.contract.manifest import AttentionSpec, TextSpec
from models.contract.packing import pack
from models.encoders import checkpoint
from models.encoders.checkpoint import CheckpointError
from models.encoders.text import TextTransformer
from models.layers.errors import ConfigError
from models.packed import Layout, torch_spelling


def open_subject(directory: Path) -> Subject:
    """Raises SourceError when the directory is no checkpoint of ours that can be exported."""
    try:
        encoder = checkpoint.load(directory)
    except (CheckpointError, ConfigError) as error:
        raise SourceError(str(error)) from error
    return _text(directory, encoder) if isinstance(encoder, TextTransformer) else ImageSubject(encoder)


def _text(directory: Path, encoder: TextTransformer) -> TextSubject:
    config = encoder.config
    if not (directory / TOKENIZER_FILE).is_file():
        raise SourceError(f"{directory} has no {TOKENIZER_FILE}")
    return TextSubject(
        config.kind,
        directory,
        encoder,
        lambda: _spelled_out(encoder),
        text=TextSpec(max_tokens=config.max_tokens, vocabulary_size=config.vocabulary_size, position_offset=0),
        attention=AttentionSpec(heads=(config.heads,) * config.layers),
        embedding=(config.width, True),
        space=config.space,
    )


def _spelled_out(encoder: TextTransformer) -> Original:
    """The encoder in float64, one item at a time, its attention spelled out in torch."""
    original = copy.deepcopy(encoder).double()

    def run(ids: Tensor) -> tuple[Tensor, list[Tensor]]:
        packed = {name: torch.from_numpy(array) for name, array in pack([ids.numpy()]).items()}
        layout = Layout(packed["pack_index"], packed["unpack_index"], packed["lengths"], torch_spelling)
        return original.hidden(packed["input_ids"], packed["position_ids"], layout)[None], layout.weights

    return run
