"""What each token of a text, or cell of a picture, has to do with how near its item lies to another.

Letters: n positions of one item, m of them that are told on, u units (cells, tokens, or words), e width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.contract.arrays import Floats
from models.contract.specs import EmbeddingSpec
from models.preprocess.tokens import words_of
from service.engine.condensing import from_words, onto_words
from service.http.asked import Item

TINY = 1e-12
"""What keeps a vector of zeros from a division by zero."""


@dataclass(frozen=True)
class Side:
    """One of two items: `units` `[u, e]` are the vectors of its parts, not scaled.

    `similarities` `[u]` are their cosines with the other item's vector: late interaction, with one vector on the other
    side. `contributions` `[u]` add up to the cosine of the two items, where the item's vector is the mean of its
    positions'; they are None where it is not. `relevance` `[u]` is rollout, None where there is no attention.
    """

    item: Item
    units: Floats
    similarities: Floats
    contributions: Floats | None
    relevance: Floats | None


@dataclass(frozen=True)
class Match:
    """`similarity` is the cosine of the items; `pairs` `[u, u]`, where asked for, of each part with each."""

    similarity: float
    sides: tuple[Side, Side]
    pairs: Floats | None


def compare(items: Sequence[Item], *, words: bool, pairs: bool) -> Match:
    """Of two items that came with the vectors of their positions. Raises ValueError for other than two."""
    a, b = items
    vectors = _unit(a.vector), _unit(b.vector)
    sides = _side(a, vectors[1], words), _side(b, vectors[0], words)
    between = _unit(sides[0].units) @ _unit(sides[1].units).T if pairs else None
    return Match(float(vectors[0] @ vectors[1]), sides, between)


def units_of(item: Item, *, words: bool) -> int:
    """How many parts an item has."""
    parts = words_of(item.prepared) if words else None
    return item.prepared.positions - item.encoder.manifest.prefix if parts is None else len(parts.starts)


def _side(item: Item, other: Floats, words: bool) -> Side:
    assert item.vectors is not None
    manifest = item.encoder.manifest
    rows = item.vectors[manifest.prefix :]
    shares = _contributions(rows, other, manifest.embedding)
    relevance = item.attention.values if item.attention else None
    parts = words_of(item.prepared) if words else None
    if parts is None:
        return Side(item, rows, _unit(rows) @ other, shares, relevance)
    units = from_words(rows, parts.starts)
    added = [None if each is None else onto_words(each, parts.starts) for each in (shares, relevance)]
    return Side(item, units, _unit(units) @ other, *added)


def _contributions(rows: Floats, other: Floats, spec: EmbeddingSpec) -> Floats | None:
    """`[m]`, adding up to the cosine: the item's vector is the mean of `rows` `[m, e]`, whatever its length is."""
    if (spec.positions, spec.pooling) != ("parts", "mean"):
        return None
    length = np.linalg.norm(rows.mean(axis=0))
    found: Floats = rows @ other / np.float32(len(rows) * max(float(length), TINY))
    return found


def _unit(vectors: Floats) -> Floats:
    """Scaled to length 1, `[..., e]`."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    found: Floats = vectors / np.maximum(lengths, np.float32(TINY))
    return found
