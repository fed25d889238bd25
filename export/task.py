"""Task of a checkpoint, from its files, config and weights.

A trained head makes a reranker, a classifier or a sparse encoder of it; its encoder's pooled states are vectors that
nobody trained. Where modules.json describes an embedding model, that is its author's word.
"""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from export import st_config, st_transformer
from export.errors import OptionError, SourceError
from export.head import CROSS_ENCODER_ENTRIES
from export.options import ExportOptions
from export.source_layout import MODULES_FILE, SourceLayout, check_splade_pooling
from models.artifact.specs import Modality, Task
from models.pretrained.weight_names import read_names

_TOKEN_HEAD = re.compile(r"ForTokenClassification$")
_INPUT_HEAD = re.compile(r"ForSequenceClassification$")
_IMAGE_HEAD = re.compile(r"ForImageClassification(WithTeacher)?$")

_OTHER_TASK_BY_CLASS = {
    r"ForQuestionAnswering$": "a question answering model",
    r"ForMultipleChoice$": "a multiple choice model",
    r"ColBERT|ForRetrieval$": "a multi-vector encoder (ColBERT)",
}
_OTHER_TASK_BY_WEIGHT = {
    r"^qa_outputs\.": "a question answering model",
    r"^linear\.weight$": "a multi-vector encoder (ColBERT)",
}
_HEAD_WEIGHT = re.compile(r"^(classifier|pre_classifier|cls_classifier|score)\.")
_PRETRAINED_CLASS = re.compile(
    r"(ForMaskedLM|ForPreTraining|ForNextSentencePrediction|ForCausalLM|LMHeadModel|WithLMHead)$"
)
_PRETRAINED_WEIGHT = re.compile(r"^(cls\.predictions|lm_head|vocab_transform|mlm_head)\b")

_PRETRAINED_NOTE = (
    "this is a pre-training checkpoint (a language model), whose pooled states were not trained to be compared: the "
    "mean of BERT base scores 46 on STS-B where its fine-tuned form scores 77 (Reimers and Gurevych 2019, table 1)"
)
_RERANK_NOTE = "one label: a reranker; --task classify answers with the label's score instead"
_HEAD_WORDS: dict[Task, str] = {
    "sparse": "a sparse encoder (SPLADE)",
    "rerank": "a reranker (cross-encoder)",
    "classify": "a classifier",
    "token-classify": "a token classifier",
}


def resolve_task(
    layout: SourceLayout, raw: dict[str, Any], config: Any, modality: Modality, options: ExportOptions
) -> tuple[SourceLayout, Task, tuple[str, ...]]:
    """Return the layout to export by, the task, and notes on what its answers are worth.

    `raw` is config.json, `config` what `transformers` makes of it. Raises SourceError for a checkpoint that was trained
    for something that is not exported, unless it is to embed; OptionError for a task that it has no head for.
    """
    other = None if layout.splade else st_config.other_task(layout)
    described = layout.stages is not None and not st_config.is_cross_encoder(layout)
    if options.task is None and other is None and described:
        return layout, "embed", ()
    names = read_names(layout.encoder)
    other = other or _find(_OTHER_TASK_BY_CLASS, _classes(raw)) or _find(_OTHER_TASK_BY_WEIGHT, names)
    found = None if layout.other_task else _head_task(layout, raw, config, names, modality)
    if found is None and (layout.splade or (options.task == "sparse" and _is_language_model(raw, names))):
        found = "sparse"
    if options.task == "embed" or (options.task is None and found is None and other is None):
        return _embedding(layout, raw, names, modality, found, other)
    if found is None and options.task is None:
        raise SourceError(
            f"{layout.root} appears to be {other} ({_evidence(layout.encoder, raw, names)}); "
            "pass --task embed to export its encoder's pooled states nevertheless"
        )
    if len(layout.stages or ()) > 1:
        raise SourceError(
            f"{layout.root / MODULES_FILE} has stages behind a head, which cannot be exported; pass --task embed to "
            "export the encoder's pooled states"
        )
    task = _choose(layout, found, options.task, config, modality)
    if layout.splade:
        check_splade_pooling(layout.splade)
    notes = (_RERANK_NOTE,) if task == "rerank" and options.task is None and not _is_cross_encoder(layout, raw) else ()
    return layout.without_stages(), task, notes


def _embedding(
    layout: SourceLayout,
    raw: dict[str, Any],
    names: Collection[str],
    modality: Modality,
    found: Task | None,
    other: str | None,
) -> tuple[SourceLayout, Task, tuple[str, ...]]:
    """Return how to export the encoder, without the head if there is one."""
    if modality == "image":
        return layout, "embed", _image_notes(raw)
    if found is None and other is None:
        return layout, "embed", _notes(raw, names) if layout.stages is None else ()
    what = other or _HEAD_WORDS[found or "classify"]
    return layout.without_stages(), "embed", (f"this is {what}, whose pooled states were not trained to be compared",)


def _head_task(
    layout: SourceLayout, raw: dict[str, Any], config: Any, names: Collection[str], modality: Modality
) -> Task | None:
    """Return the task of the head that the checkpoint was saved with; None without one."""
    classes = _classes(raw)
    if modality == "image":
        return "classify" if any(map(_IMAGE_HEAD.search, classes)) and any(map(_HEAD_WEIGHT.search, names)) else None
    if any(map(_TOKEN_HEAD.search, classes)):
        return "token-classify"
    if any(map(_INPUT_HEAD.search, classes)) or _is_cross_encoder(layout, raw):
        scores = config.num_labels == 1 and (_is_cross_encoder(layout, raw) or not raw.get("problem_type"))
        return "rerank" if scores else "classify"
    if any(map(_HEAD_WEIGHT.search, names)):
        head = min(name for name in names if _HEAD_WEIGHT.search(name))
        raise SourceError(
            f"{layout.root} has a head ({head}), and the architectures of its config.json do not name its class; add "
            "it, such as BertForSequenceClassification"
        )
    return None


def _is_cross_encoder(layout: SourceLayout, raw: dict[str, Any]) -> bool:
    """Return whether sentence-transformers wrote the source as a cross-encoder."""
    by_entry = any(raw.get(entry) for entry in CROSS_ENCODER_ENTRIES)
    return by_entry or st_config.is_cross_encoder(layout)


def _choose(layout: SourceLayout, found: Task | None, asked: Task | None, config: Any, modality: Modality) -> Task:
    """Return the task to export; `found` is that of the head. Raises OptionError where the head has another form."""
    if found is None or (asked not in (None, found) and not {asked, found} <= {"rerank", "classify"}):
        has = "has no head" if found is None else f"is {_HEAD_WORDS[found]}"
        raise OptionError(f"{layout.root} {has}, so it cannot be exported with --task {asked}")
    task = asked or found
    if task == "rerank" and (config.num_labels != 1 or modality == "image"):
        raise OptionError(f"{layout.root} has {config.num_labels} labels; a reranker has one")
    return task


def _find(table: dict[str, str], names: Collection[str]) -> str | None:
    return next((task for pattern, task in table.items() for name in names if re.search(pattern, name)), None)


def _classes(raw: dict[str, Any]) -> list[str]:
    given = raw.get("architectures")
    return [name for name in given if isinstance(name, str)] if isinstance(given, list) else []


def _evidence(encoder: Path, raw: dict[str, Any], names: Collection[str]) -> str:
    by_entry = st_transformer.other_task(encoder)
    if by_entry:
        return by_entry[1]
    heads = sorted(name for name in names if any(re.search(pattern, name) for pattern in _OTHER_TASK_BY_WEIGHT))
    entry = f"architectures: {', '.join(_classes(raw)) or 'none'}"
    return f"{encoder / 'config.json'} has {entry}{f'; weights: {heads[0]}' if heads else ''}"


def _image_notes(raw: dict[str, Any]) -> tuple[str, ...]:
    heads = [name for name in _classes(raw) if re.search(r"For\w*(Classification|Segmentation|Detection)$", name)]
    return (f"this is {heads[0]}: vectors are its encoder's pooled states, its head is left out",) if heads else ()


def _notes(raw: dict[str, Any], names: Collection[str]) -> tuple[str, ...]:
    return (_PRETRAINED_NOTE,) if _is_language_model(raw, names) else ()


def _is_language_model(raw: dict[str, Any], names: Collection[str]) -> bool:
    """Return whether the checkpoint has a head over the vocabulary."""
    return any(map(_PRETRAINED_CLASS.search, _classes(raw))) or any(map(_PRETRAINED_WEIGHT.search, names))
