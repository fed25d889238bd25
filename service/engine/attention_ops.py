"""Operations on attention weights: words instead of tokens, and top k.

Letters: n positions of one item, u its units (words), k the largest that are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.artifact.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class AttentionWeights:
    """As they are answered: `values` `[..., n]`; or the largest `[..., k]` and, alike in shape, whose `indices`."""

    values: Floats
    indices: Ints | None = None


def sum_to_words(values: Floats, starts: Ints) -> Floats:
    """Attention *to* words: `[..., n]` -> `[..., u]`, what their tokens are given, added up.

    `starts` `[u]` is each word's first token. Rows keep their sum. Source of both rules: Clark et al., "What Does BERT
    Look At?" (2019), section 4.1.
    """
    sums: Floats = np.add.reduceat(values, starts, axis=-1)
    return sums


def mean_from_words(values: Floats, starts: Ints) -> Floats:
    """Attention *from* words: `[..., n, m]` -> `[..., u, m]`, the mean of their tokens' rows."""
    lengths = np.diff(starts, append=values.shape[-2]).astype(np.float32)
    sums: Floats = np.add.reduceat(values, starts, axis=-2)
    return sums / lengths[:, None]


def word_row(values: Floats, starts: Ints, word: int) -> Floats:
    """Return the row of one word: `[..., n, m]` -> `[..., m]`."""
    end = starts[word + 1] if word + 1 < len(starts) else values.shape[-2]
    row: Floats = values[..., starts[word] : end, :].mean(axis=-2)
    return row


def stack(weights: Sequence[AttentionWeights]) -> AttentionWeights:
    """One of several alike, along a new first axis."""
    indices = [each.indices for each in weights if each.indices is not None]
    return AttentionWeights(np.stack([each.values for each in weights]), np.stack(indices) if indices else None)


def top_k(values: Floats, k: int) -> AttentionWeights:
    """Of each row of `[..., n]` the k largest, largest first, or all where there are fewer.

    Equal ones come in their order; which of them are kept where not all are is not said.
    """
    k = min(k, values.shape[-1])
    # A full sort of all heads' rows of a long text is several times as slow.
    indices = np.argpartition(values, values.shape[-1] - k, axis=-1)[..., -k:]
    values_at_k = np.take_along_axis(values, indices, axis=-1)
    order = np.lexsort((indices, -values_at_k), axis=-1)
    return AttentionWeights(
        np.take_along_axis(values_at_k, order, axis=-1), np.take_along_axis(indices, order, axis=-1)
    )
