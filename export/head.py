"""Head of a source: its labels, and the activation that its author applies to them.

Sources: `pipelines/text_classification.py` and `token_classification.py` of transformers 5.14, and
`CrossEncoder.get_default_activation_fn` of sentence-transformers 6.2.
"""

from typing import Any

from pydantic import BaseModel, RootModel

from export.errors import SourceError
from export.source_checks import parse, parse_optional
from export.source_layout import SourceLayout
from models.artifact.specs import Activation, HeadSpec, Task
from models.filenames import CONFIG_FILE

MAX_LABELS = 100_000
"""Maximum labels of a head."""

_ACTIVATIONS: dict[str, Activation] = {"Identity": "none", "Sigmoid": "sigmoid", "Softmax": "softmax"}
_BY_PROBLEM: dict[str, Activation] = {
    "regression": "none",
    "single_label_classification": "softmax",
    "multi_label_classification": "sigmoid",
}


class _CrossEncoderFile(BaseModel):
    """The entries of config_sentence_transformers.json about a cross-encoder."""

    model_type: str | None = None
    activation_fn: str | None = None


class _CrossEncoderEntry(BaseModel):
    """`sentence_transformers` in config.json."""

    activation_fn: str | None = None


class _Config(BaseModel):
    """The entries of config.json about a cross-encoder."""

    sentence_transformers: _CrossEncoderEntry | None = None
    sbert_ce_default_activation_function: str | None = None


def head_spec(layout: SourceLayout, config: Any, task: Task) -> HeadSpec:
    """Return the labels and the activation of the head. Raises SourceError for an activation that is not known."""
    count = config.num_labels
    if not 0 < count <= MAX_LABELS:
        raise SourceError(f"{layout.encoder / CONFIG_FILE} has {count} labels; a head has 1 to {MAX_LABELS}")
    names = config.id2label or {}
    labels = tuple(str(names.get(i, f"LABEL_{i}")) for i in range(count))
    return HeadSpec(labels=labels, activation=_activation(layout, config, task))


def _activation(layout: SourceLayout, config: Any, task: Task) -> Activation:
    if task == "token-classify":
        return "softmax"
    cross_encoder, path = _cross_encoder_activation(layout)
    if path is not None:
        name = path.rpartition(".")[2]
        if not path.startswith("torch.nn.") or name not in _ACTIVATIONS:
            known = ", ".join(_ACTIVATIONS)
            raise SourceError(f"{layout.root} names the activation {path!r}; known, of torch.nn: {known}")
        return _ACTIVATIONS[name]
    single = config.num_labels == 1
    if cross_encoder:
        return "sigmoid" if single else "none"
    by_problem = _BY_PROBLEM.get(getattr(config, "problem_type", None) or "")
    return by_problem or ("sigmoid" if single else "softmax")


def _cross_encoder_activation(layout: SourceLayout) -> tuple[bool, str | None]:
    """Return whether sentence-transformers wrote the source as a cross-encoder, and the activation that it names."""
    raw = parse(layout.encoder / CONFIG_FILE, RootModel[dict[str, Any]]).root
    entries = parse(layout.encoder / CONFIG_FILE, _Config)
    entry = entries.sentence_transformers
    file = parse_optional(layout.root / "config_sentence_transformers.json", _CrossEncoderFile)
    named = (entry.activation_fn if entry else None) or entries.sbert_ce_default_activation_function
    is_cross_encoder = file.model_type == "CrossEncoder" or any(raw.get(name) for name in CROSS_ENCODER_ENTRIES)
    return is_cross_encoder, named or (file.activation_fn if file.model_type == "CrossEncoder" else None)


CROSS_ENCODER_ENTRIES = ("sentence_transformers", "sbert_ce_default_activation_function")
"""Entries that sentence-transformers' CrossEncoder writes into config.json."""
