"""Task of a checkpoint, from its files, config and weights.

A trained head makes a reranker, a classifier or a sparse encoder of it; its encoder's pooled states are vectors that
nobody trained. Where modules.json describes an embedding model, that is its author's word.
"""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from export import st_config, st_transformer
from export.errors import SourceError
from export.options import ExportOptions
from export.source_layout import SourceLayout
from models.artifact.specs import Modality
from models.pretrained.weight_names import read_names

_TASK_BY_CLASS = {
    r"ForSequenceClassification$": "a reranker or classifier",
    r"ForTokenClassification$": "a token classifier",
    r"ForQuestionAnswering$": "a question answering model",
    r"ForMultipleChoice$": "a multiple choice model",
    r"ColBERT|ForRetrieval$": "a multi-vector encoder (ColBERT)",
}
_TASK_BY_WEIGHT = {
    r"^(classifier|pre_classifier|score)\.": "a reranker or classifier",
    r"^qa_outputs\.": "a question answering model",
    r"^linear\.weight$": "a multi-vector encoder (ColBERT)",
}
_PRETRAINED_CLASS = re.compile(
    r"(ForMaskedLM|ForPreTraining|ForNextSentencePrediction|ForCausalLM|LMHeadModel|WithLMHead)$"
)
_PRETRAINED_WEIGHT = re.compile(r"^(cls\.predictions|lm_head|vocab_transform|mlm_head)\b")
_CROSS_ENCODER = ("sentence_transformers", "sbert_ce_default_activation_function")
"""Entries that sentence-transformers' CrossEncoder writes into config.json."""

_PRETRAINED_NOTE = (
    "this is a pre-training checkpoint (a language model), whose pooled states were not trained to be compared: the "
    "mean of BERT base scores 46 on STS-B where its fine-tuned form scores 77 (Reimers and Gurevych 2019, table 1)"
)


def check_task(
    layout: SourceLayout, raw: dict[str, Any], modality: Modality, options: ExportOptions
) -> tuple[SourceLayout, tuple[str, ...]]:
    """Return the layout to export by, and notes on what its vectors are worth.

    Raises SourceError for a checkpoint with a trained head, unless the task is given.
    """
    other = st_config.other_task(layout)
    if other is None and layout.stages is not None:
        return layout, ()
    names = read_names(layout.encoder)
    other = other or _detect_task(raw, names, modality)
    if other is None:
        return layout, _notes(raw, names, modality)
    if options.task != "embed":
        raise SourceError(
            f"{layout.root} appears to be {other} ({_evidence(layout.encoder, raw, names)}); "
            "pass --task embed to export its encoder's pooled states nevertheless"
        )
    return layout.without_stages(), (f"this is {other}, whose pooled states were not trained to be compared",)


def _detect_task(raw: dict[str, Any], names: Collection[str], modality: Modality) -> str | None:
    if modality == "image":
        return None  # the states of image classifiers are used as embeddings
    if any(raw.get(entry) for entry in _CROSS_ENCODER):
        return "a reranker (cross-encoder)"
    by_class = (task for pattern, task in _TASK_BY_CLASS.items() for name in _classes(raw) if re.search(pattern, name))
    by_weight = (task for pattern, task in _TASK_BY_WEIGHT.items() for name in names if re.search(pattern, name))
    return next(by_class, None) or next(by_weight, None)


def _classes(raw: dict[str, Any]) -> list[str]:
    given = raw.get("architectures")
    return [name for name in given if isinstance(name, str)] if isinstance(given, list) else []


def _evidence(encoder: Path, raw: dict[str, Any], names: Collection[str]) -> str:
    by_entry = st_transformer.other_task(encoder)
    if by_entry:
        return by_entry[1]
    heads = sorted(name for name in names if any(re.search(pattern, name) for pattern in _TASK_BY_WEIGHT))
    entry = f"architectures: {', '.join(_classes(raw)) or 'none'}"
    return f"{encoder / 'config.json'} has {entry}{f'; weights: {heads[0]}' if heads else ''}"


def _notes(raw: dict[str, Any], names: Collection[str], modality: Modality) -> tuple[str, ...]:
    classes = _classes(raw)
    if modality == "image":
        heads = [name for name in classes if re.search(r"For\w*(Classification|Segmentation|Detection)$", name)]
        return (f"this is {heads[0]}: vectors are its encoder's pooled states, its head is left out",) if heads else ()
    pretrained = any(map(_PRETRAINED_CLASS.search, classes)) or any(map(_PRETRAINED_WEIGHT.search, names))
    return (_PRETRAINED_NOTE,) if pretrained else ()
