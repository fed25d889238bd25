"""The text encoder of a Hugging Face directory: its packed form is traced, its own eager attention judges."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from export import st_config, tokenizer
from export.errors import OptionError, SourceError
from export.layout import Layout
from export.options import Options
from export.subjects.original import Answer, Original
from export.subjects.text import TextFacts, TextSubject
from models.contract.specs import AttentionSpec, Pooling, TextSpec
from models.filenames import CONFIG_FILE
from models.pooling import pool, shares
from models.precision import convert
from models.pretrained.dense import Dense, read_dense
from models.pretrained.exact import Exact
from models.pretrained.text import (
    ARCHITECTURES,
    PretrainedTextEncoder,
    TextArchitecture,
    attention_heads,
    load_text,
    project,
)


def open_text(layout: Layout, config: Any, options: Options, notes: tuple[str, ...] = ()) -> TextSubject:
    """Open the text encoder of a layout. Raises PretrainedError, SourceError, OptionError."""
    directory, architecture = layout.encoder, ARCHITECTURES[config.model_type]
    usage = st_config.read(layout, pooling=options.pooling, normalize=options.normalize)
    size = config.get_text_config()
    pooling = options.pooling or usage.pooling or architecture.pooling
    own_limit = usage.max_tokens or tokenizer.max_length(directory)
    if pooling == "attention":
        raise OptionError("no text encoder pools by attention; choose mean, cls or last")
    try:
        offset = size.pad_token_id + 1 if architecture.after_padding else 0
        text = TextSpec(
            max_tokens=_max_tokens(size.max_position_embeddings - offset, own_limit, options, architecture),
            vocabulary_size=size.vocab_size,
            position_offset=offset,
            padding_id=tokenizer.padding_id(directory, size.pad_token_id) if architecture.fixed_length else None,
            prompts=usage.prompts,
            default_prompt=usage.default_prompt,
        )
        attention = AttentionSpec(heads=attention_heads(size))
    except (AttributeError, TypeError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise SourceError(f"{directory / CONFIG_FILE} lacks sizes that an encoder has: {first}") from error
    artifact, left_out = tokenizer.read(directory, text, lower_case=usage.lower_case)
    facts = TextFacts(
        architecture=config.model_type,
        tokenizer=artifact,
        text=text,
        attention=attention,
        normalize=usage.normalize,
        space=options.space,
        notes=(*notes, *usage.notes, *left_out),
    )
    kind, dense = config.model_type, [read_dense(folder) for folder in usage.dense_folders]
    return TextSubject(
        facts,
        lambda: PretrainedTextEncoder(directory, kind, pooling, dense),
        lambda dtype: _eager(directory, kind, pooling, dense, dtype),
    )


def _max_tokens(positions: int, own_limit: int | None, options: Options, architecture: TextArchitecture) -> int:
    """The limit that is asked for, or the source's own, and never more than there are positions."""
    wanted = options.max_tokens
    if wanted and wanted > positions:
        raise OptionError(f"max-tokens {wanted} is more than the {positions} positions of the encoder")
    if architecture.fixed_length:
        if wanted not in (None, positions):
            raise OptionError(f"this encoder takes texts padded to {positions} tokens, no more and no fewer")
        return positions
    return wanted or min(own_limit or positions, positions)


def _eager(directory: Path, model_type: str, pooling: Pooling, dense: Sequence[Dense], dtype: torch.dtype) -> Original:
    """The trained encoder in that precision with its own eager attention."""
    model = convert(load_text(directory, model_type, attention="eager"), dtype)
    after = copy.deepcopy(nn.Sequential(*dense)).to(dtype)

    def run(ids: Tensor) -> Answer:
        with Exact():
            out = model(input_ids=ids, output_attentions=True)  # positions are the model's own
        real = torch.ones_like(ids, dtype=torch.bool)
        vector, positions = (
            after(project(model, ARCHITECTURES[model_type], states))
            for states in (pool(out.last_hidden_state, real, pooling), out.last_hidden_state)
        )
        return Answer(vector, positions, out.attentions, shares(real, pooling, vector.dtype))

    return run
