"""A Hugging Face directory as a subject: its packed or watched form is traced, its own eager attention judges."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from export import sentence_transformers
from export.errors import OptionError, SourceError
from export.options import Options
from export.sentence_transformers import Usage
from export.subjects.base import Subject
from export.subjects.text import Original, TextFacts, TextSubject
from models.contract.artifact import TOKENIZER_FILE
from models.contract.manifest import AttentionSpec, Modality, Pooling, TextSpec
from models.pooling import pool
from models.pretrained.errors import PretrainedError
from models.pretrained.loading import read_config
from models.pretrained.text import ARCHITECTURES as TEXT
from models.pretrained.text import PretrainedTextEncoder, load_text, project

TWO_TOWERS = ("clip", "siglip")


def open_subject(directory: Path, options: Options) -> Subject:
    """Raises SourceError when the directory is no encoder that can be exported, OptionError for what it has not."""
    try:
        config = read_config(directory)
        return _open(directory, config, options)
    except PretrainedError as error:
        raise SourceError(str(error)) from error


def towers(directory: Path) -> tuple[Modality, ...]:
    """What the source takes. Raises SourceError."""
    try:
        kind = read_config(directory).model_type
    except PretrainedError as error:
        raise SourceError(str(error)) from error
    found: tuple[Modality, ...] = ("text",) if kind in TEXT else ()
    if not found:
        known = ", ".join(sorted(TEXT))
        raise SourceError(f"model_type {kind!r} in {directory / 'config.json'} cannot be exported; known: {known}")
    return found


def _open(directory: Path, config: Any, options: Options) -> Subject:
    found = towers(directory)
    if options.modality is None and len(found) > 1:
        raise OptionError(f"{directory} has a tower for {' and one for '.join(found)}; choose with --modality")
    modality = options.modality or found[0]
    if modality not in found:
        raise OptionError(f"{directory} takes {found[0]}, not {modality}")
    return _text(directory, config, options)


def _text(directory: Path, config: Any, options: Options) -> TextSubject:
    if not (directory / TOKENIZER_FILE).is_file():
        raise SourceError(f"{directory} has no {TOKENIZER_FILE}; save the fast tokenizer there with save_pretrained")
    architecture, usage = TEXT[config.model_type], sentence_transformers.read(directory)
    size = config.get_text_config() if config.model_type in TWO_TOWERS else config
    pooling = options.pooling or usage.pooling or architecture.pooling
    if pooling == "attention":
        raise OptionError("no text encoder pools by attention; choose mean, cls or last")
    offset = size.pad_token_id + 1 if architecture.after_padding else 0
    positions = size.max_position_embeddings - offset
    encoder = PretrainedTextEncoder(directory, config.model_type, pooling)
    facts = TextFacts(
        config.model_type,
        directory,
        text=TextSpec(
            max_tokens=_max_tokens(positions, usage, options, fixed=architecture.fixed_length),
            vocabulary_size=size.vocab_size,
            position_offset=offset,
            padding_id=size.pad_token_id if architecture.fixed_length else None,
            prompts=usage.prompts,
            default_prompt=usage.default_prompt,
        ),
        attention=AttentionSpec(heads=(size.num_attention_heads,) * size.num_hidden_layers),
        normalize=usage.normalize if options.normalize is None else options.normalize,
        space=options.space,
        lower_case=usage.lower_case,
    )
    return TextSubject(facts, encoder, lambda: _eager(directory, config.model_type, pooling, offset))


def _max_tokens(positions: int, usage: Usage, options: Options, *, fixed: bool) -> int:
    """What is asked for, or what the source says, and never more than there are positions."""
    if fixed:
        return positions
    if options.max_tokens and options.max_tokens > positions:
        raise OptionError(f"max-tokens {options.max_tokens} is more than the {positions} positions of the encoder")
    return options.max_tokens or min(usage.max_tokens or positions, positions)


def _eager(directory: Path, model_type: str, pooling: Pooling, offset: int) -> Original:
    """The trained encoder in float64 with its own eager attention."""
    model = load_text(directory, model_type, attention="eager").double()

    def run(ids: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        positions = torch.arange(len(ids)) + offset
        out = model(input_ids=ids[None], position_ids=positions[None], output_attentions=True)
        real = torch.ones(1, len(ids), dtype=torch.bool)
        return project(model, TEXT[model_type], pool(out.last_hidden_state, real, pooling)), out.attentions

    return run
