"""Our own checkpoints as subjects: the registry builds the encoder that config.json names."""

import copy
from pathlib import Path

from torch import Tensor

from export import tokenizer
from export.errors import OptionError, SourceError
from export.options import Options
from export.subjects.base import Subject, as_tensors
from export.subjects.image import ImageFacts, ImageSubject, watched
from export.subjects.original import Answer, Original
from export.subjects.seen import left
from export.subjects.text import TextFacts, TextSubject
from models.contract.packing import pack
from models.contract.specs import AttentionSpec, ImageSpec, TextSpec
from models.encoders import checkpoint
from models.encoders.checkpoint import CheckpointError
from models.encoders.image import ImageEncoder
from models.encoders.text import TextTransformer
from models.layers.errors import ConfigError
from models.packed import Layout, torch_spelling
from models.pooling import shares


def open_subject(directory: Path, options: Options) -> Subject:
    """Raises SourceError when the directory is no checkpoint of ours that can be exported, OptionError for what the
    encoder has not."""
    try:
        encoder = checkpoint.load(directory)
    except (CheckpointError, ConfigError) as error:
        raise SourceError(str(error)) from error
    subject = _text(directory, encoder, options) if isinstance(encoder, TextTransformer) else _image(encoder, options)
    if options.modality not in (None, subject.modality):
        raise OptionError(f"{directory} takes {subject.modality}, not {options.modality}")
    if options.pooling not in (None, encoder.pooling):
        raise OptionError(f"an encoder of ours pools as it was trained to: {encoder.pooling}, not {options.pooling}")
    return subject


def _image(encoder: ImageEncoder, options: Options) -> ImageSubject:
    config = encoder.config
    facts = ImageFacts(
        architecture=config.kind,
        image=ImageSpec(
            rows_px=config.image_px,
            columns_px=config.image_px,
            scaled_px=(config.image_px, config.image_px),
            interpolation="bilinear",
            transparency="white",
            grid=encoder.grid,
            prefix=encoder.prefix,
        ),
        normalize=options.normalize is not False,
        space=options.space or config.space,
    )
    return ImageSubject(facts, lambda: encoder, lambda dtype: watched(copy.deepcopy(encoder).to(dtype)))


def _text(directory: Path, encoder: TextTransformer, options: Options) -> TextSubject:
    config = encoder.config
    if options.max_tokens and options.max_tokens > config.max_tokens:
        raise OptionError(f"max-tokens {options.max_tokens} is more than the encoder's {config.max_tokens}")
    text = TextSpec(
        max_tokens=options.max_tokens or config.max_tokens,
        vocabulary_size=config.vocabulary_size,
        position_offset=0,
    )
    artifact, notes = tokenizer.read(directory, text, lower_case=False)
    facts = TextFacts(
        architecture=config.kind,
        tokenizer=artifact,
        notes=notes,
        text=text,
        attention=AttentionSpec(heads=(config.heads,) * config.layers),
        normalize=options.normalize is not False,
        space=options.space or config.space,
    )
    return TextSubject(facts, lambda: encoder, lambda dtype: _spelled_out(copy.deepcopy(encoder).to(dtype)))


def _spelled_out(original: TextTransformer) -> Original:
    """The encoder one item at a time, its attention spelled out in torch."""

    def run(ids: Tensor) -> Answer:
        packed = as_tensors({**pack([*ids.numpy()])})
        layout = Layout(packed["pack_index"], packed["unpack_index"], packed["lengths"], torch_spelling)
        vector = original(packed["input_ids"], packed["position_ids"], layout)
        positions = layout.unpack(left(layout.positions))
        return Answer(vector, positions, layout.weights, shares(layout.real(), original.pooling, vector.dtype))

    return run
