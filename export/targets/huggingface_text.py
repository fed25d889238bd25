"""Text target of a Hugging Face directory: the packed form is traced, its own eager attention is the reference."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from export import st_config, tokenizer
from export.errors import OptionError, SourceError
from export.head import head_spec
from export.options import ExportOptions
from export.source_checks import problem
from export.source_layout import SourceLayout
from export.st_config import SentenceTransformersConfig
from export.targets.reference import ReferenceModel, ReferenceOutput
from export.targets.text import TextModelInfo, TextTarget
from export.tokenizer_parity import first_line
from models.artifact import tensors
from models.artifact.specs import LABEL_TASKS, AttentionSpec, Pooling, Task, TextSpec
from models.filenames import CONFIG_FILE
from models.pooling import pool, pooling_weights
from models.precision import convert
from models.pretrained.dense import Dense, read_dense
from models.pretrained.heads import head_pooling, splade_weights
from models.pretrained.keep_float64 import KeepFloat64
from models.pretrained.text import (
    ARCHITECTURES,
    PretrainedTextEncoder,
    TextArchitecture,
    attention_heads,
    load_text_model,
    project,
    taken,
    token_types,
)


def load_text_target(
    layout: SourceLayout, config: Any, options: ExportOptions, task: Task = "embed", notes: tuple[str, ...] = ()
) -> TextTarget:
    """Open the text encoder of a layout, with the head of `task`. Raises PretrainedError, SourceError, OptionError."""
    directory, architecture = layout.encoder, ARCHITECTURES[config.model_type]
    st_options = st_config.read_st_config(layout, pooling=options.pooling, normalize=options.normalize)
    text_config = config.get_text_config()
    pooling = options.pooling or st_options.pooling or architecture.pooling
    if task != "embed":
        _check_head_options(layout, options, st_options, task)
        pooling = head_pooling(text_config, task)
    if pooling == "attention":
        raise OptionError("attention pooling is not supported for text encoders; choose mean, cls or last")
    text, attention = _read_sizes(directory, text_config, st_options, options, task)
    artifact, read_so = tokenizer.read_tokenizer(
        directory, text, lower_case=st_options.lower_case, pairs=task in LABEL_TASKS
    )
    info = TextModelInfo(
        task=task,
        head=head_spec(layout, config, task) if task in LABEL_TASKS else None,
        architecture=config.model_type,
        tokenizer=artifact,
        text=text,
        attention=attention,
        normalize=task == "embed" and st_options.normalize,
        space=options.space,
        notes=(
            *notes,
            *st_options.notes,
            *(_pooling_notes(options.pooling or st_options.pooling, architecture) if task == "embed" else ()),
            *read_so,
        ),
    )
    kind, dense = config.model_type, [read_dense(folder) for folder in st_options.dense_folders]
    subject = TextTarget(
        info,
        lambda: PretrainedTextEncoder(directory, kind, pooling, dense, task),
        lambda dtype: (
            _eager_reference(directory, kind, pooling, dense, dtype)
            if task == "embed"
            else _eager_head_reference(directory, kind, pooling, task, dtype)
        ),
    )
    st_config.check_width(layout, st_options.truncate_dim, subject.width)
    return subject


def _read_sizes(
    directory: Path, config: Any, st_options: SentenceTransformersConfig, options: ExportOptions, task: Task
) -> tuple[TextSpec, AttentionSpec]:
    """Return the limits and the heads of a text tower's config. Raises SourceError, OptionError."""
    architecture = ARCHITECTURES[config.model_type]
    own_limit = st_options.max_tokens or tokenizer.max_length(directory)
    typed = task in LABEL_TASKS and tokenizer.makes_token_types(directory)
    try:
        offset = _after_padding(directory, config) if architecture.padding_offset_positions else 0
        text = TextSpec(
            max_tokens=_max_tokens(config.max_position_embeddings - offset, own_limit, options, architecture),
            vocab_size=config.vocab_size,
            position_offset=offset,
            padding_id=tokenizer.padding_id(directory, config.pad_token_id) if architecture.fixed_length else None,
            token_types=token_types(config) if typed else None,
            prompts=st_options.prompts,
            default_prompt=st_options.default_prompt,
        )
        return text, AttentionSpec(heads=attention_heads(config))
    except (AttributeError, TypeError, ValidationError) as error:
        first = problem(error) if isinstance(error, ValidationError) else first_line(error)
        raise SourceError(f"{directory / CONFIG_FILE} lacks a required size: {first}") from error


def _check_head_options(
    layout: SourceLayout, options: ExportOptions, st_options: SentenceTransformersConfig, task: Task
) -> None:
    """Raise OptionError for options, and SourceError for files, that only an embedding has a place for."""
    for name, value in (("pooling", options.pooling), ("normalize", options.normalize), ("space", options.space)):
        if value is not None:
            raise OptionError(f"{name} is of embeddings; this model is exported with the head that it was trained with")
    if st_options.prompts and task in LABEL_TASKS:
        raise SourceError(
            f"{layout.root / st_config.PROMPTS_FILE} has prompts, which are exported for vectors only; remove them "
            "if the model was trained without"
        )


def _pooling_notes(asked: Pooling | None, architecture: TextArchitecture) -> tuple[str, ...]:
    """Return a note if no file and no option says how a decoder's states are pooled."""
    if asked or architecture.head or architecture.pooling != "last":
        return ()
    return (
        "no file says how this decoder is pooled: by its last token; sentence-transformers takes the mean, as "
        "--pooling mean does",
    )


def _after_padding(directory: Path, size: Any) -> int:
    """Return the first position, which follows the padding id. Raises SourceError if there is none."""
    if size.pad_token_id is None:
        raise SourceError(
            f"{directory / CONFIG_FILE} has pad_token_id: null, behind which {size.model_type} counts its positions; "
            "write the id that it was trained with"
        )
    first: int = size.pad_token_id + 1
    return first


def _max_tokens(positions: int, own_limit: int | None, options: ExportOptions, architecture: TextArchitecture) -> int:
    """Return the requested limit, else the source's own, bounded by the number of positions."""
    requested = options.max_tokens
    if requested and requested > positions:
        raise OptionError(f"max-tokens {requested} is more than the {positions} positions of the encoder")
    if architecture.fixed_length:
        if requested not in (None, positions):
            raise OptionError(f"this encoder takes texts padded to {positions} tokens; max-tokens cannot be changed")
        return positions
    return requested or min(own_limit or positions, positions)


def _eager_head_reference(
    directory: Path, model_type: str, pooling: Pooling, task: Task, dtype: torch.dtype
) -> ReferenceModel:
    """Return the trained model with its head in that precision, with its own eager attention."""
    model: Any = convert(load_text_model(directory, model_type, attention="eager", task=task), dtype)
    states: list[Tensor] = []
    model.base_model.register_forward_hook(lambda _module, _inputs, out: states.append(out[0]))

    def run(item: Tensor) -> ReferenceOutput:
        ids, *types = item.unbind(1) if item.ndim == 3 else (item,)
        states.clear()
        typed = {tensors.TOKEN_TYPE_IDS: types[0]} if types else {}
        with KeepFloat64():
            out = model(input_ids=ids, output_attentions=True, **typed)
        weights = pooling_weights(torch.ones_like(ids, dtype=torch.bool), pooling, out.logits.dtype)
        output = splade_weights(out.logits) if task == "sparse" else out.logits
        return ReferenceOutput(output, states[0], out.attentions, weights)

    return run


def _eager_reference(
    directory: Path, model_type: str, pooling: Pooling, dense: Sequence[Dense], dtype: torch.dtype
) -> ReferenceModel:
    """Return the trained encoder in that precision with its own eager attention."""
    model = convert(load_text_model(directory, model_type, attention="eager"), dtype)
    architecture = ARCHITECTURES[model_type]
    dense_stages = copy.deepcopy(nn.Sequential(*dense)).to(dtype)

    def run(ids: Tensor) -> ReferenceOutput:
        with KeepFloat64():
            out = model(input_ids=ids, output_attentions=True)  # positions are the model's own
        token_mask = torch.ones_like(ids, dtype=torch.bool)
        pooled = taken(model, architecture, pooling, ids, token_mask)
        vector, positions = (
            dense_stages(project(model, architecture, states))
            for states in (pool(out.last_hidden_state, pooled, pooling), out.last_hidden_state)
        )
        if architecture.last and pooling == "last":
            vector = dense_stages(out.text_embeds)  # which token ends a text is the model's own to say
        return ReferenceOutput(vector, positions, out.attentions, pooling_weights(pooled, pooling, vector.dtype))

    return run
