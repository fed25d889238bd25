"""Scores of a head's logits: activations, ranked labels, and labels of tokens put together to entities.

The strategies are those of the token classification pipeline of `transformers` 5.14 (`aggregation_strategy`): "none"
answers by token, "simple" joins neighbors with the same label, and "first", "average" and "max" first agree on one
label for the tokens of a word.

Letters: n tokens of one text, c labels.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.artifact.arrays import Floats
from models.artifact.specs import Activation, HeadSpec
from models.preprocess.model_input import TokenizedText

Aggregation = Literal["none", "simple", "first", "average", "max"]


def activate(logits: Floats, activation: Activation) -> Floats:
    """Return the scores of logits `[..., c]`."""
    if activation == "none":
        return logits
    if activation == "sigmoid":
        with np.errstate(over="ignore"):  # exp of a large number: the score is 0
            sigmoid: Floats = np.float32(1) / (np.float32(1) + np.exp(-logits))
        return sigmoid
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    softmax: Floats = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return softmax


def ranked_labels(head: HeadSpec, scores: Floats, top_k: int | None = None) -> list[tuple[str, float]]:
    """Return the labels of scores `[c]` with their scores, the highest first, `top_k` at most."""
    order = np.argsort(-scores, kind="stable")[:top_k]
    return [(head.labels[i], score) for i, score in zip(order.tolist(), scores[order].tolist(), strict=True)]


@dataclass(frozen=True, slots=True)
class Entity:
    """Tokens that have one label: where they are in the caller's string, in code points, and the text there.

    `index` is the first token; `input` says which text of a pair it is in, and is 0 where there is one.
    """

    label: str
    score: float
    text: str
    start: int
    end: int
    index: int
    input: int


def find_entities(
    texts: Sequence[str],
    tokens: TokenizedText,
    scores: Floats,
    labels: Sequence[str],
    strategy: Aggregation = "simple",
    ignored: Collection[str] = ("O",),
) -> list[Entity]:
    """Return the entities of one text, or of the two of a pair, given the scores `[n, c]` of its tokens.

    Labels of special tokens and those among `ignored` are left out.
    """
    units = list(_units(tokens, by_word=strategy in _WORD_SCORES))
    combine = _WORD_SCORES.get(strategy, _first_token)
    found = [_entity(texts, unit, combine(scores[unit.first : unit.end]), labels) for unit in units]
    if strategy != "none":
        found = list(_join(texts, found))
    return [entity for entity in found if entity.label not in ignored]


def _first_token(scores: Floats) -> Floats:
    first: Floats = scores[0]
    return first


def _mean_of_tokens(scores: Floats) -> Floats:
    mean: Floats = scores.mean(axis=0)
    return mean


def _surest_token(scores: Floats) -> Floats:
    surest: Floats = scores[scores.max(axis=1).argmax()]
    return surest


_WORD_SCORES: Mapping[str, Callable[[Floats], Floats]] = {
    "first": _first_token,
    "average": _mean_of_tokens,
    "max": _surest_token,
}
"""Scores of a word `[c]` from those of its tokens."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """A token or word: its tokens from `first` to before `end`, and its place in the caller's string."""

    first: int
    end: int
    start_char: int
    end_char: int
    input: int


def _units(tokens: TokenizedText, *, by_word: bool) -> Iterator[_Unit]:
    """Yield the tokens or words that are in the caller's strings."""
    inputs = tokens.token_inputs or [0] * tokens.num_tokens
    words = tokens.words if by_word else None
    offsets = tokens.token_offsets if words is None else words.offsets
    firsts = range(tokens.num_tokens) if words is None else words.first_tokens.tolist()
    ends = [*firsts[1:], tokens.num_tokens]
    for first, end, (_, start_char, end_char) in zip(firsts, ends, offsets, strict=True):
        if start_char < end_char:
            yield _Unit(first, end, start_char, end_char, inputs[first] or 0)


def _entity(texts: Sequence[str], unit: _Unit, scores: Floats, labels: Sequence[str]) -> Entity:
    best = int(scores.argmax())
    text = texts[unit.input][unit.start_char : unit.end_char]
    return Entity(labels[best], float(scores[best]), text, unit.start_char, unit.end_char, unit.first, unit.input)


def _join(texts: Sequence[str], found: Sequence[Entity]) -> Iterator[Entity]:
    """Join neighbors of one label, whose B- and I- prefixes say where an entity begins."""
    group: list[Entity] = []
    for entity in found:
        if group and (entity.input != group[-1].input or not _continues(entity.label, group[-1].label)):
            yield _joined(texts, group)
            group = []
        group.append(entity)
    if group:
        yield _joined(texts, group)


def _continues(label: str, before: str) -> bool:
    prefix, tag = _tag(label)
    return prefix != "B" and tag == _tag(before)[1]


def _tag(label: str) -> tuple[str, str]:
    """Split a label at its B- or I- prefix; labels without one continue."""
    return (label[0], label[2:]) if label[:2] in ("B-", "I-") else ("I", label)


def _joined(texts: Sequence[str], group: Sequence[Entity]) -> Entity:
    first, last = group[0], group[-1]
    score = float(np.mean([entity.score for entity in group]))
    text = texts[first.input][first.start : last.end]
    return Entity(first.label.split("-", 1)[-1], score, text, first.start, last.end, first.index, first.input)
