"""Heads that a checkpoint was trained with: a score, labels of an input or of each token, or words.

The code of every head is `transformers`' own. Its encoder runs elsewhere, packed and with our attention; in the
encoder's place stands a module that hands over what was computed, so that the head reads the states as it always does.

Letters: b items, s positions, e width, c labels.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForImageClassification,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling
from typing_extensions import override

from models.artifact.specs import Modality, Pooling, Task

HEAD_CLASSES: Mapping[tuple[Modality, Task], Any] = {
    ("text", "sparse"): AutoModelForMaskedLM,
    ("text", "rerank"): AutoModelForSequenceClassification,
    ("text", "classify"): AutoModelForSequenceClassification,
    ("text", "token-classify"): AutoModelForTokenClassification,
    ("image", "classify"): AutoModelForImageClassification,
}
"""Class of `transformers` that loads an encoder with the head of a task."""

_computed: ContextVar[Any] = ContextVar("computed")


class _ComputedEncoder(nn.Module):
    """Stands in an encoder's place and returns what it has computed elsewhere."""

    @override
    def forward(self, *_args: Any, **_kwargs: Any) -> Any:
        return _computed.get()


@contextmanager
def _use_computed(output: Any) -> Iterator[None]:
    token = _computed.set(output)
    try:
        yield
    finally:
        _computed.reset(token)


class TrainedHead(nn.Module):
    """Head of a model of `transformers`, whose encoder is taken out and is `encoder`'s."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model: Any = model
        setattr(model, model.base_model_prefix, _ComputedEncoder())

    @override
    def forward(self, output: Any, **inputs: Tensor) -> Tensor:
        """Return the logits of what the encoder computed, given the inputs that the head itself reads."""
        with _use_computed(output):
            logits: Tensor = self.model(**inputs).logits
        return logits


class TrainedTextHead(nn.Module):
    """Head over a text encoder's states: the pooler, if it has one, and what follows it."""

    def __init__(self, model: PreTrainedModel, encoder: Any) -> None:
        """Take the pooler out of `encoder`, which sees all items in one row and would pool the first alone."""
        super().__init__()
        self.pooler = _take_pooler(encoder)
        self.head = TrainedHead(model)

    @override
    def forward(self, states: Tensor, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Return logits of states `[b, s, e]`: `[b, c]`, or `[b, s, c]` of a head over tokens or words.

        `mask` `[b, s]` marks an item's own tokens; None says that all are.
        """
        pooled = self.pooler(states) if self.pooler else None
        output = BaseModelOutputWithPooling(last_hidden_state=states, pooler_output=pooled)
        logits: Tensor = self.head(output, input_ids=ids, attention_mask=mask)
        return logits


class _AlbertPooler(nn.Module):
    def __init__(self, linear: nn.Module, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.linear, self._activation = linear, activation

    @override
    def forward(self, states: Tensor) -> Tensor:
        return self._activation(self.linear(states[:, 0]))


def _take_pooler(encoder: Any) -> nn.Module | None:
    """Remove the pooler of a text encoder, and return it as a module of states `[b, s, e]` -> `[b, e]`."""
    pooler: nn.Module | None = getattr(encoder, "pooler", None)
    if pooler is None:
        return None
    encoder.pooler = None
    return _AlbertPooler(pooler, encoder.pooler_activation) if isinstance(pooler, nn.Linear) else pooler


def splade_weights(logits: Tensor) -> Tensor:
    """Return the sparse vector of a text, given its tokens' logits over the vocabulary: `[b, s, c]` -> `[b, c]`.

    The largest over the tokens of log(1 + relu(logit)), which grows with the logit: so the largest comes first.
    Source: Formal et al., "SPLADE v2" (2021), equation 6.
    """
    return torch.log1p(torch.relu(logits.amax(dim=1)))


def head_pooling(config: Any, task: Task) -> Pooling:
    """Return the positions that a text model's head reads: all, or the first one."""
    if task in ("sparse", "token-classify"):
        return "mean"
    return "cls" if getattr(config, "classifier_pooling", "cls") in ("cls", "bos") else "mean"
