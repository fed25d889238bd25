"""A Hugging Face text encoder as a subject: its packed form is traced, its own eager attention judges."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from export.errors import SourceError
from export.source import Source, read
from export.subjects.text import Original, TextSubject
from models.contract.manifest import AttentionSpec, TextSpec
from models.pretrained import PACKED, PackedTextEncoder, load


def open_subject(directory: Path) -> TextSubject:
    """Raises SourceError when the directory is no text encoder that can be exported."""
    source = read(directory)
    try:
        model = load(directory, attention=PACKED)
    except (OSError, RuntimeError, SafetensorError, ValueError) as error:
        raise SourceError(f"the weights cannot be loaded: {error}") from error
    return TextSubject(
        source.architecture,
        directory,
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
