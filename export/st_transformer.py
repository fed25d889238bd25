"""sentence_bert_config.json and its older names: how sentence-transformers runs the encoder stage.

Every entry of it changes the vectors or is known not to. Source: `Transformer.load_config` of sentence-transformers
6.2, which tries the names in this order and takes the first file that is not empty.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, PositiveInt, RootModel

from export.errors import SourceError
from export.source_checks import parse

CONFIG_FILES = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)

_FEATURE_BY_METHOD = {
    ("forward", "last_hidden_state"): "token_embeddings",
    ("get_text_features", "pooler_output"): "sentence_embedding",
    ("get_text_features", None): "sentence_embedding",
    ("get_image_features", "pooler_output"): "sentence_embedding",
    ("get_image_features", None): "sentence_embedding",
}
"""Supported methods and outputs of a model, and the feature that each computes."""

_IGNORED = {
    "model_args": {"torch_dtype", "dtype", "attn_implementation", "trust_remote_code", "device_map", "use_safetensors",
                   "low_cpu_mem_usage", "add_pooling_layer", "use_memory_efficient_attention", "unpad_inputs"},
    "tokenizer_args": {"model_max_length", "use_fast", "padding_side", "trust_remote_code", "padding", "max_length"},
    "config_args": {"torch_dtype", "dtype", "attn_implementation", "trust_remote_code", "use_cache",
                    "use_memory_efficient_attention", "unpad_inputs"},
}  # fmt: skip
"""Arguments that change speed or padding only; model_max_length is read."""

_OTHER_TASKS = {
    "fill-mask": "a sparse encoder (SPLADE)",
}
"""Kind of model for each transformer_task other than embedding."""

_RENAMED_ENTRIES = {"model_kwargs": "model_args", "processor_kwargs": "tokenizer_args", "config_kwargs": "config_args"}
_PER_TASK_ENTRIES = ("query_length", "document_length", "query_expansion")


@dataclass(frozen=True)
class TransformerConfig:
    """What the encoder stage does beyond the encoder.

    `token_level`: it makes a state a token, to be pooled. `entries` are those that change how texts are read.
    """

    max_tokens: int | None = None
    lower_case: bool = False
    token_level: bool = True
    entries: tuple[str, ...] = ()


class _TransformerFile(BaseModel):
    """The entries that are known; the others are checked by name."""

    model_config = ConfigDict(extra="allow")

    max_seq_length: PositiveInt | None = None
    do_lower_case: bool = False
    transformer_task: str | None = None
    modality_config: dict[str, Any] | None = None
    module_output_name: str | None = None
    processing_kwargs: dict[str, Any] | None = None
    unpad_inputs: bool | None = None


def other_task(encoder: Path) -> tuple[str, str] | None:
    """Return what the file in the encoder's folder describes in place of an embedding model, and by which entry.

    Raises SourceError.
    """
    path = _file(encoder)
    name = parse(path, _TransformerFile).transformer_task if path else None
    return (_OTHER_TASKS[name], f"{path} has transformer_task: {name}") if name in _OTHER_TASKS else None


def is_sequence_classifier(encoder: Path) -> bool:
    """Return whether the encoder stage is run with a head over the whole input. Raises SourceError."""
    path = _file(encoder)
    return path is not None and parse(path, _TransformerFile).transformer_task == "sequence-classification"


def read_transformer_config(encoder: Path, *, modality: str, headless: bool = False) -> TransformerConfig:
    """Return what the file in the encoder's folder says.

    `headless`: the encoder is taken without the head that the file's task needs. Raises SourceError for entries that
    ask for something else.
    """
    path = _file(encoder)
    if path is None:
        return TransformerConfig()
    config = parse(path, _TransformerFile)
    for name, value in (config.model_extra or {}).items():
        _check_extra(path, name, value)
    if not headless and config.transformer_task not in (None, "feature-extraction"):
        raise SourceError(
            f"{path} has transformer_task: {config.transformer_task}; only feature-extraction is exported"
        )
    for kind in (modality, "common"):
        if (config.processing_kwargs or {}).get(kind):
            raise _unsupported_entry(path, "processing_kwargs", config.processing_kwargs)
    limit = _arguments(config, "tokenizer_args").get("model_max_length")
    return TransformerConfig(
        max_tokens=limit if isinstance(limit, int) else config.max_seq_length,
        lower_case=config.do_lower_case,
        token_level=headless or _feature(path, config, modality) == "token_embeddings",
        entries=tuple(
            entry for entry in ("max_seq_length", "do_lower_case") if getattr(config, entry) not in (None, False)
        ),
    )


def _file(encoder: Path) -> Path | None:
    return next((encoder / name for name in CONFIG_FILES if _has_entries(encoder / name)), None)


def _has_entries(path: Path) -> bool:
    return path.is_file() and bool(parse(path, RootModel[dict[str, Any]]).root)


def _arguments(config: _TransformerFile, name: str) -> Mapping[str, Any]:
    extra = config.model_extra or {}
    names = (name, *(newer for newer, older in _RENAMED_ENTRIES.items() if older == name))
    return {key: value for each in names for key, value in (extra.get(each) or {}).items()}


def _check_extra(path: Path, name: str, value: Any) -> None:
    allowed = _IGNORED.get(_RENAMED_ENTRIES.get(name, name))
    if not value:
        return
    if allowed is None or not isinstance(value, dict):
        raise _unsupported_entry(path, name, value)
    for argument, given in value.items():
        if argument not in allowed:
            raise _unsupported_entry(path, f"{name}.{argument}", given)


def _feature(path: Path, config: _TransformerFile, modality: str) -> str:
    """Return the feature that the stage makes of an input: a state per token, or the vector."""
    if config.modality_config is None:
        return config.module_output_name or "token_embeddings"
    method_config = config.modality_config.get(modality)
    if not isinstance(method_config, dict):
        raise SourceError(
            f"{path} has no modality_config for {modality}, so its model takes none; see {CONFIG_FILES[0]}"
        )
    feature = _FEATURE_BY_METHOD.get((str(method_config.get("method")), method_config.get("method_output_name")))
    if feature is None or config.module_output_name not in (None, feature):
        raise _unsupported_entry(path, f"modality_config.{modality}", method_config)
    return feature


def _unsupported_entry(path: Path, name: str, value: Any) -> SourceError:
    why = "is by task, as multi-vector encoders use it" if name in _PER_TASK_ENTRIES else "cannot be exported"
    return SourceError(
        f"{path} has {name}: {json.dumps(value)[:80]}, which {why}; "
        "remove the entry if it does not affect the embeddings"
    )
