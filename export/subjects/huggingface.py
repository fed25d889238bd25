"""A Hugging Face directory as a subject: its packed or watched form is traced, its own eager attention judges."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from export import sentence_transformers, tokenizer
from export.errors import OptionError, SourceError
from export.files import CONFIG_FILE
from export.options import Options
from export.processor import read as read_processor
from export.sentence_transformers import Usage
from export.subjects.base import Subject
from export.subjects.image import ImageFacts, ImageSubject
from export.subjects.original import Original
from export.subjects.text import TextFacts, TextSubject
from models.attention import Observer
from models.contract.manifest import AttentionSpec, Modality, Pooling, TextSpec
from models.picture import Channels, PictureEncoder
from models.pooling import pool, shares
from models.pretrained.architectures import ARCHITECTURES as IMAGE
from models.pretrained.architectures import find
from models.pretrained.errors import PretrainedError
from models.pretrained.loading import read_config
from models.pretrained.originals import Original as Answer
from models.pretrained.originals import original
from models.pretrained.text import ARCHITECTURES as TEXT
from models.pretrained.text import PretrainedTextEncoder, TextArchitecture, load_text, project
from models.pretrained.vision import open_vision, recognise

KNOWN: dict[Modality, Collection[str]] = {"text": TEXT, "image": IMAGE}
"""By `model_type`, and among them what a config's `architectures` can say more exactly."""


def open_subject(directory: Path, options: Options) -> Subject:
    """Raises SourceError when the directory is no encoder that can be exported, OptionError for what it has not."""
    try:
        config = read_config(directory)
        modality = _modality(directory, config, options)
        return _text(directory, config, options) if modality == "text" else _image(directory, config, options)
    except PretrainedError as error:
        raise SourceError(str(error)) from error


def towers(config: Any) -> tuple[Modality, ...]:
    """What an encoder with this config takes."""
    takes: dict[Modality, object] = {"text": TEXT.get(config.model_type), "image": find(config)}
    return tuple(modality for modality, architecture in takes.items() if architecture)


def _modality(directory: Path, config: Any, options: Options) -> Modality:
    found = towers(config)
    if not found:
        known = "; ".join(f"{name}: {', '.join(k for k in kinds if k.islower())}" for name, kinds in KNOWN.items())
        raise SourceError(f"model_type {config.model_type!r} in {directory / CONFIG_FILE} cannot be exported; {known}")
    if options.modality is None and len(found) > 1:
        raise OptionError(f"{directory} has a tower for {' and one for '.join(found)}; choose with --modality")
    modality = options.modality or found[0]
    if modality not in found:
        raise OptionError(f"{directory} takes {found[0]}, not {modality}")
    return modality


def _image(directory: Path, config: Any, options: Options) -> ImageSubject:
    if options.max_tokens:
        raise OptionError("max-tokens is for texts, and this encoder takes images")
    processor = read_processor(directory)
    brightest = 255 * processor.rescale_factor
    middle, spread = _over(processor.mean, brightest), _over(processor.std, brightest)
    size_px = processor.rows_px, processor.columns_px
    opened = recognise(directory, config, middle=middle, spread=spread, pooling=options.pooling, size_px=size_px)
    encoder = open_vision(opened)
    facts = ImageFacts(
        architecture=config.model_type,
        image=processor.image(grid=encoder.grid, prefix=encoder.prefix),
        normalize=options.normalize is not False,
        space=options.space,
    )
    return ImageSubject(facts, encoder, lambda: _answering(original(opened), encoder))


def _over(channels: Channels, brightest: float) -> Channels:
    """Of pixels in 0 to `brightest`, as the processor makes them, to pixels in 0 to 1."""
    red, green, blue = (value / brightest for value in channels)
    return red, green, blue


def _answering(answer: Callable[[Tensor], Answer], encoder: PictureEncoder) -> Original:
    """Where no probe pools, what each position has of the vector is known beforehand."""

    def run(pixels: Tensor) -> tuple[Tensor, Sequence[Tensor], Tensor]:
        seen = answer(pixels)
        shares = encoder.shares(Observer()).double() if seen.shares is None else seen.shares
        return seen.vector, seen.weights, shares

    return run


def _text(directory: Path, config: Any, options: Options) -> TextSubject:
    architecture, usage = TEXT[config.model_type], sentence_transformers.read(directory)
    size = config.get_text_config()
    pooling = options.pooling or usage.pooling or architecture.pooling
    if pooling == "attention":
        raise OptionError("no text encoder pools by attention; choose mean, cls or last")
    try:
        offset = size.pad_token_id + 1 if architecture.after_padding else 0
        text = TextSpec(
            max_tokens=_max_tokens(size.max_position_embeddings - offset, usage, options, architecture),
            vocabulary_size=size.vocab_size,
            position_offset=offset,
            padding_id=tokenizer.padding_id(directory, size.pad_token_id) if architecture.fixed_length else None,
            prompts=usage.prompts,
            default_prompt=usage.default_prompt,
        )
        attention = AttentionSpec(heads=(size.num_attention_heads,) * size.num_hidden_layers)
    except (AttributeError, TypeError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise SourceError(f"{directory / CONFIG_FILE} lacks sizes that an encoder has: {first}") from error
    facts = TextFacts(
        architecture=config.model_type,
        tokenizer=tokenizer.read(directory, text, lower_case=usage.lower_case),
        text=text,
        attention=attention,
        normalize=usage.normalize if options.normalize is None else options.normalize,
        space=options.space,
    )
    encoder = PretrainedTextEncoder(directory, config.model_type, pooling)
    return TextSubject(facts, encoder, lambda: _eager(directory, config.model_type, pooling, offset))


def _max_tokens(positions: int, usage: Usage, options: Options, architecture: TextArchitecture) -> int:
    """What is asked for, or what the source says, and never more than there are positions."""
    wanted = options.max_tokens
    if wanted and wanted > positions:
        raise OptionError(f"max-tokens {wanted} is more than the {positions} positions of the encoder")
    if architecture.fixed_length:
        if wanted not in (None, positions):
            raise OptionError(f"this encoder takes texts padded to {positions} tokens, no more and no fewer")
        return positions
    return wanted or min(usage.max_tokens or positions, positions)


def _eager(directory: Path, model_type: str, pooling: Pooling, offset: int) -> Original:
    """The trained encoder in float64 with its own eager attention."""
    model = load_text(directory, model_type, attention="eager").double()

    def run(ids: Tensor) -> tuple[Tensor, Sequence[Tensor], Tensor]:
        positions = torch.arange(ids.shape[1]) + offset
        out = model(input_ids=ids, position_ids=positions[None], output_attentions=True)
        real = torch.ones_like(ids, dtype=torch.bool)
        vector = project(model, TEXT[model_type], pool(out.last_hidden_state, real, pooling))
        return vector, out.attentions, shares(real, pooling, vector.dtype)

    return run
