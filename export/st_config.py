"""The files that sentence-transformers writes around an encoder: how texts become vectors.

The stages that can be exported, in this order: the encoder, a pooling, any number of Dense, a normalization.
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, RootModel

from export import st_transformer
from export.errors import SourceError
from export.source_checks import check_download, parse, parse_optional
from export.source_layout import MODULES_FILE, SourceLayout, Stage
from export.st_transformer import TransformerConfig
from models.artifact.specs import Modality, Pooling
from models.filenames import CONFIG_FILE, WEIGHTS_FILE

PROMPTS_FILE = "config_sentence_transformers.json"
POOLING_FOLDER = "1_Pooling"
_DENSE_FOLDERS = "[0-9]*_Dense"

_POOLINGS: dict[str, Pooling] = {"mean": "mean", "cls": "cls", "lasttoken": "last"}
_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""Flags that releases before 5.4 wrote instead of `pooling_mode`."""

_COLBERT_ENTRIES = (
    "query_prefix",
    "document_prefix",
    "do_query_expansion",
    "attend_to_expansion_tokens",
    "skiplist_words",
)
"""Entries that PyLate adds to the file of prompts."""

_CROSS_ENCODER = "CrossEncoder"
_OTHER_MODELS = {
    "SparseEncoder": "a sparse encoder (SPLADE)",
    "MultiVectorEncoder": "a multi-vector encoder (ColBERT)",
}


@dataclass(frozen=True)
class SentenceTransformersConfig:
    """How inputs become vectors around the encoder.

    `pooling` is None where the files do not say. `dense_folders` are Dense stages between pooling and normalization,
    in order.
    """

    pooling: Pooling | None = None
    normalize: bool = True
    dense_folders: tuple[Path, ...] = ()
    max_tokens: int | None = None
    lower_case: bool = False
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    truncate_dim: int | None = None
    notes: tuple[str, ...] = ()


class _Prompts(BaseModel):
    """The part of config_sentence_transformers.json that changes what is embedded."""

    model_config = ConfigDict(extra="allow")

    model_type: str | None = None
    prompts: dict[str, str | None] | None = None
    default_prompt_name: str | None = None
    truncate_dim: int | None = None

    @property
    def texts(self) -> dict[str, str]:
        """Prompts with a text; newer releases write null for the names that have none."""
        return {name: text for name, text in (self.prompts or {}).items() if text is not None}


def other_task(layout: SourceLayout) -> str | None:
    """Return what the files describe in place of an embedding model, in words; None for an embedding model."""
    prompts = parse_optional(layout.root / PROMPTS_FILE, _Prompts)
    extra = prompts.model_extra or {}
    if any(extra.get(name) for name in _COLBERT_ENTRIES):
        return "a multi-vector encoder (ColBERT, of PyLate)"
    by_entry = st_transformer.other_task(layout.encoder)
    return layout.other_task or _OTHER_MODELS.get(prompts.model_type or "") or (by_entry[0] if by_entry else None)


def is_cross_encoder(layout: SourceLayout) -> bool:
    """Return whether the files describe an encoder with the head of a cross-encoder. Raises SourceError."""
    prompts = parse_optional(layout.root / PROMPTS_FILE, _Prompts)
    return prompts.model_type == _CROSS_ENCODER or st_transformer.is_sequence_classifier(layout.encoder)


def read_st_config(
    layout: SourceLayout, *, modality: Modality = "text", pooling: Pooling | None = None, normalize: bool | None = None
) -> SentenceTransformersConfig:
    """Read the files; `pooling` and `normalize` were asked for in place of what they say.

    Raises SourceError for files that are malformed, or that ask for something that would not be done.
    """
    path = layout.root / PROMPTS_FILE
    prompts = parse_optional(path, _Prompts)
    if prompts.default_prompt_name is not None and prompts.default_prompt_name not in (prompts.prompts or {}):
        raise SourceError(
            f"{path} has the default prompt {prompts.default_prompt_name!r} among no prompts of that name"
        )
    transformer = st_transformer.read_transformer_config(layout.encoder, modality=modality, headless=layout.headless)
    vectors = _pooling_stages(layout, transformer, pooling, normalize, prompted=any(prompts.texts.values()))
    return replace(
        vectors,
        max_tokens=transformer.max_tokens,
        lower_case=transformer.lower_case,
        prompts=prompts.texts,
        default_prompt=prompts.default_prompt_name if prompts.default_prompt_name in prompts.texts else None,
        truncate_dim=prompts.truncate_dim,
        notes=(*layout.notes, *vectors.notes, *_read_nevertheless(layout, transformer, prompts)),
    )


def check_width(layout: SourceLayout, truncate_dim: int | None, width: int) -> None:
    """Raise SourceError where sentence-transformers cuts its vectors, which are `width` wide."""
    if truncate_dim is not None and not truncate_dim >= width:
        raise SourceError(
            f"{layout.root / PROMPTS_FILE} has truncate_dim: {truncate_dim}, which cuts vectors of {width} values; "
            'remove the entry, and ask for "dimensions" in each request'
        )


def _read_nevertheless(layout: SourceLayout, transformer: TransformerConfig, prompts: _Prompts) -> tuple[str, ...]:
    """Return notes on files that sentence-transformers writes but reads with a modules.json only."""
    if (layout.root / MODULES_FILE).is_file():
        return ()
    applied = (
        (PROMPTS_FILE, ["prompts"] if any(prompts.texts.values()) else []),
        (st_transformer.CONFIG_FILES[0], list(transformer.entries)),
    )
    return tuple(
        f"{' and '.join(entries)} of {file} apply; sentence-transformers ignores them without a {MODULES_FILE}"
        for file, entries in applied
        if entries
    )


def _pooling_stages(
    layout: SourceLayout,
    transformer: TransformerConfig,
    pooling: Pooling | None,
    normalize: bool | None,
    *,
    prompted: bool,
) -> SentenceTransformersConfig:
    """Return what the stages behind the encoder do."""
    if layout.stages is None:
        return _without_modules(layout, pooling, normalized=normalize is not False, prompted=prompted)
    first, *rest = layout.stages
    path = layout.root / MODULES_FILE
    poolings, dense, normalizes = _group_stages(path, first, [stage for stage in rest if stage.kind != "Dropout"])
    for stage in normalizes:
        _check_features(parse_optional(stage.folder / CONFIG_FILE, _FeatureNames), stage)
    for stage in dense:
        _check_features(parse(stage.folder / CONFIG_FILE, _FeatureNames), stage)
        check_download(stage.folder / WEIGHTS_FILE)
    normalized = bool(normalizes) if normalize is None else normalize
    returns_vectors = first.kind == "CLIPModel" or not transformer.token_level
    if returns_vectors and poolings:
        raise SourceError(f"{path} pools what its encoder, a {first.kind} of whole vectors, has pooled")
    if not returns_vectors and not poolings and pooling is None:
        raise SourceError(f"{path} has no Pooling stage; choose one with --pooling")
    chosen = pooling
    if poolings:
        folder = poolings[0].folder
        chosen = _resolve_pooling(folder, pooling, length_free=normalized and not dense, prompted=prompted)
    return SentenceTransformersConfig(chosen, normalized, tuple(stage.folder for stage in dense))


def _without_modules(
    layout: SourceLayout, pooling: Pooling | None, *, normalized: bool, prompted: bool
) -> SentenceTransformersConfig:
    """Read a directory without modules.json: normalized if plain; a pooling folder in it means a lost file."""
    left_out = (layout.root / MODULES_FILE).is_file()  # by Layout.without_stages, for --task embed
    dense = sorted(layout.root.glob(_DENSE_FOLDERS))
    if dense and not left_out:
        raise SourceError(
            f"{dense[0]} is of a Dense stage, and {MODULES_FILE}, which says where it belongs, is missing: copy that "
            "from the original too"
        )
    folder = layout.root / POOLING_FOLDER
    if not (folder / CONFIG_FILE).is_file():
        return SentenceTransformersConfig(pooling, normalized)
    chosen = _resolve_pooling(folder, pooling, length_free=normalized, prompted=prompted)
    why = f"{MODULES_FILE} is left out by --task embed" if left_out else f"there is no {MODULES_FILE}"
    note = f"{chosen} pooling is of {POOLING_FOLDER}; {why}"
    return SentenceTransformersConfig(chosen, normalized, notes=() if pooling else (note,))


def _group_stages(path: Path, first: Stage, rest: list[Stage]) -> tuple[list[Stage], list[Stage], list[Stage]]:
    """Group the stages after the encoder by kind. Raises SourceError for an order that is not implemented."""
    if first.kind not in ("Transformer", "CLIPModel"):
        raise SourceError(f"{path} begins with {first.kind}; the first stage is the encoder, a Transformer")
    order = ("Pooling", "Dense", "Normalize")
    kinds = [stage.kind for stage in rest]
    if (
        any(kind not in order for kind in kinds)
        or kinds != sorted(kinds, key=order.index)
        or kinds.count("Pooling") > 1
    ):
        raise SourceError(
            f"{path} has the stages {', '.join((first.kind, *kinds))}, an order that cannot be exported; exported is "
            "an encoder, one Pooling, any Dense, a Normalize"
        )
    found = {kind: [stage for stage in rest if stage.kind == kind] for kind in order}
    return found["Pooling"], found["Dense"], found["Normalize"]


class _FeatureNames(BaseModel):
    """Which values a stage reads and writes: a vector of the whole text, unless it says otherwise."""

    module_input_name: str | None = None
    module_output_name: str | None = None


def _check_features(features: _FeatureNames, stage: Stage) -> None:
    for name in (features.module_input_name, features.module_output_name):
        if name not in (None, "sentence_embedding"):
            raise SourceError(
                f"{stage.folder / CONFIG_FILE} is for {name}, not for the vector of a text, which cannot be exported"
            )


def _resolve_pooling(folder: Path, override: Pooling | None, *, length_free: bool, prompted: bool) -> Pooling:
    """Return the pooling of a folder, or `override` if given.

    `length_free`: the vector's length is lost behind it, so that a sum over the root of the count is a mean.
    """
    path = folder / CONFIG_FILE
    config = parse(path, RootModel[dict[str, Any]]).root
    if prompted and config.get("include_prompt") is False:
        raise SourceError(f"{path} pools without the prompt (include_prompt), which cannot be exported")
    if override is not None:
        return override
    modes = _pooling_modes(config)
    if modes == ["mean_sqrt_len_tokens"] and length_free:
        return "mean"
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        raise SourceError(
            f"{path}: pooling {'+'.join(modes)} cannot be exported; known: {', '.join(_POOLINGS)}; --pooling takes one "
            "in its place"
        )
    return _POOLINGS[modes[0]]


def _pooling_modes(config: dict[str, Any]) -> list[str]:
    """Return the modes of a Pooling config, as sentence-transformers 6.2 reads it.

    An absent flag is off, and a config without any mode takes the mean. Releases before 5.4 took an absent
    pooling_mode_mean_tokens as on, but wrote every flag.
    """
    mode = config.get("pooling_mode")
    if mode is None:
        return [name for flag, name in _POOLING_FLAGS.items() if config.get(flag)] or ["mean"]
    modes = mode if isinstance(mode, list) else [mode]
    return [each if isinstance(each, str) else json.dumps(each) for each in modes]
