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
from export.files import problem
from export.layout import Layout
from export.options import Options
from export.subjects.original import Answer, Original
from export.subjects.text import TextFacts, TextSubject
from export.tokenizer_gate import first_line
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
    taken,
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
        offset = _after_padding(directory, size) if architecture.after_padding else 0
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
        first = problem(error) if isinstance(error, ValidationError) else first_line(error)
        raise SourceError(f"{directory / CONFIG_FILE} lacks sizes that an encoder has: {first}") from error
    artifact, read_so = tokenizer.read(directory, text, lower_case=usage.lower_case)
    facts = TextFacts(
        architecture=config.model_type,
        tokenizer=artifact,
        text=text,
        attention=attention,
        normalize=usage.normalize,
        space=options.space,
        notes=(*notes, *usage.notes, *_pooling_notes(options.pooling or usage.pooling, architecture), *read_so),
    )
    kind, dense = config.model_type, [read_dense(folder) for folder in usage.dense_folders]
    subject = TextSubject(
        facts,
        lambda: PretrainedTextEncoder(directory, kind, pooling, dense),
        lambda dtype: _eager(directory, kind, pooling, dense, dtype),
    )
    st_config.check_width(layout, usage.truncate_dim, subject.width)
    return subject


def _pooling_notes(asked: Pooling | None, architecture: TextArchitecture) -> tuple[str, ...]:
    """A note where no file and no option says how a decoder's states become a vector."""
    if asked or architecture.head or architecture.pooling != "last":
        return ()
    return (
        "no file says how this decoder is pooled: by its last token; sentence-transformers takes the mean, as "
        "--pooling mean does",
    )


def _after_padding(directory: Path, size: Any) -> int:
    """The first position: behind the padding id. Raises SourceError where there is none."""
    if size.pad_token_id is None:
        raise SourceError(
            f"{directory / CONFIG_FILE} has pad_token_id: null, behind which {size.model_type} counts its positions; "
            "write the id that it was trained with"
        )
    first: int = size.pad_token_id + 1
    return first


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
    architecture = ARCHITECTURES[model_type]
    after = copy.deepcopy(nn.Sequential(*dense)).to(dtype)

    def run(ids: Tensor) -> Answer:
        with Exact():
            out = model(input_ids=ids, output_attentions=True)  # positions are the model's own
        real = torch.ones_like(ids, dtype=torch.bool)
        pooled = taken(model, architecture, pooling, ids, real)
        vector, positions = (
            after(project(model, architecture, states))
            for states in (pool(out.last_hidden_state, pooled, pooling), out.last_hidden_state)
        )
        if architecture.last and pooling == "last":
            vector = after(out.text_embeds)  # which token ends a text is the model's own to say
        return Answer(vector, positions, out.attentions, shares(pooled, pooling, vector.dtype))

    return run
