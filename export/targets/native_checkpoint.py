"""Export targets of native checkpoints: the registry builds the encoder that config.json names."""

import copy
from pathlib import Path

from torch import Tensor

from export import tokenizer
from export.errors import OptionError, SourceError
from export.options import ExportOptions
from export.targets.base import ExportTarget, as_tensors
from export.targets.graph_outputs import require_token_embeddings
from export.targets.image import ImageModelInfo, ImageTarget, recording_reference
from export.targets.reference import ReferenceModel, ReferenceOutput
from export.targets.text import TextModelInfo, TextTarget
from models.artifact.graph_inputs import pack
from models.artifact.specs import AttentionSpec, ImageSpec, TextSpec
from models.encoders import checkpoint
from models.encoders.checkpoint import CheckpointError
from models.encoders.image import ImageEncoder
from models.encoders.text import TextTransformer
from models.layers.errors import ConfigError
from models.packed import PackedLayout, eager_attention
from models.pooling import pooling_weights


def load_target(directory: Path, options: ExportOptions) -> ExportTarget:
    """Load a native checkpoint. Raises SourceError if it cannot be exported, OptionError for options that the
    encoder does not have."""
    try:
        encoder = checkpoint.load(directory)
    except (CheckpointError, ConfigError) as error:
        raise SourceError(str(error)) from error
    target = (
        _text_target(directory, encoder, options)
        if isinstance(encoder, TextTransformer)
        else _image_target(encoder, options)
    )
    if options.modality not in (None, target.modality):
        raise OptionError(f"{directory} takes {target.modality}, not {options.modality}")
    if options.pooling not in (None, encoder.pooling):
        raise OptionError(
            f"pooling cannot be changed for native checkpoints (trained with {encoder.pooling}, not {options.pooling})"
        )
    return target


def _image_target(encoder: ImageEncoder, options: ExportOptions) -> ImageTarget:
    config = encoder.config
    info = ImageModelInfo(
        architecture=config.kind,
        image=ImageSpec(
            height_px=config.image_px,
            width_px=config.image_px,
            resize_px=(config.image_px, config.image_px),
            interpolation="bilinear",
            transparency="white",
            grid=encoder.grid,
            num_prefix_tokens=encoder.num_prefix_tokens,
        ),
        normalize=options.normalize is not False,
        space=options.space or config.space,
    )
    return ImageTarget(info, lambda: encoder, lambda dtype: recording_reference(copy.deepcopy(encoder).to(dtype)))


def _text_target(directory: Path, encoder: TextTransformer, options: ExportOptions) -> TextTarget:
    config = encoder.config
    if options.max_tokens and options.max_tokens > config.max_tokens:
        raise OptionError(f"max-tokens {options.max_tokens} is more than the encoder's {config.max_tokens}")
    text = TextSpec(
        max_tokens=options.max_tokens or config.max_tokens,
        vocab_size=config.vocabulary_size,
        position_offset=0,
    )
    artifact, notes = tokenizer.read_tokenizer(directory, text, lower_case=False)
    info = TextModelInfo(
        architecture=config.kind,
        tokenizer=artifact,
        notes=notes,
        text=text,
        attention=AttentionSpec(heads=(config.heads,) * config.layers),
        normalize=options.normalize is not False,
        space=options.space or config.space,
    )
    return TextTarget(info, lambda: encoder, lambda dtype: _eager_reference(copy.deepcopy(encoder).to(dtype)))


def _eager_reference(encoder: TextTransformer) -> ReferenceModel:
    """Return the encoder run one item at a time, with its attention computed in torch."""

    def run(ids: Tensor) -> ReferenceOutput:
        packed = as_tensors({**pack([*ids.numpy()])})
        layout = PackedLayout(packed["pack_index"], packed["unpack_index"], packed["lengths"], eager_attention)
        vector = encoder(packed["input_ids"], packed["position_ids"], layout)
        positions = layout.unpack(require_token_embeddings(layout.token_embeddings))
        return ReferenceOutput(
            vector, positions, layout.weights, pooling_weights(layout.token_mask(), encoder.pooling, vector.dtype)
        )

    return run
