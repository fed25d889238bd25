"""Attribution of the similarity of two items to the tokens of a text, or the patches of an image.

Letters: n positions of one item, m of them without the prefix, u units (patches, tokens, or words), e width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.artifact.arrays import Floats
from models.artifact.specs import EmbeddingSpec
from models.preprocess.tokenized_text import get_word_offsets
from service.engine.plan import mean_from_words, sum_to_words
from service.pipeline.types import EmbeddingOutput

EPSILON = 1e-12
"""What keeps a vector of zeros from a division by zero."""


@dataclass(frozen=True)
class InputAttribution:
    """One of two items: `part_embeddings` `[u, e]` are the vectors of its parts, not scaled.

    `similarities` `[u]` are their cosines with the other item's vector: late interaction, with one vector on the other
    side. `contributions` `[u]` add up to the cosine of the two items, where the item's vector is the mean of its
    positions'; they are None where it is not. `relevance` `[u]` is rollout, None where there is no attention.
    """

    output: EmbeddingOutput
    part_embeddings: Floats
    similarities: Floats
    contributions: Floats | None
    relevance: Floats | None


@dataclass(frozen=True)
class SimilarityAttribution:
    """`similarity` is the cosine of the items; `pairs` `[u, u]`, where asked for, of each part with each."""

    similarity: float
    inputs: tuple[InputAttribution, InputAttribution]
    pairs: Floats | None


def attribute_similarity(outputs: Sequence[EmbeddingOutput], *, words: bool, pairs: bool) -> SimilarityAttribution:
    """Of two items that came with the vectors of their positions. Raises ValueError for other than two."""
    a, b = outputs
    embeddings = _l2_normalize(a.embedding), _l2_normalize(b.embedding)
    attributions = _attribute_input(a, embeddings[1], words), _attribute_input(b, embeddings[0], words)
    pair_similarities = (
        _l2_normalize(attributions[0].part_embeddings) @ _l2_normalize(attributions[1].part_embeddings).T
        if pairs
        else None
    )
    return SimilarityAttribution(float(embeddings[0] @ embeddings[1]), attributions, pair_similarities)


def num_parts(output: EmbeddingOutput, *, words: bool) -> int:
    """How many parts an item has."""
    parts = get_word_offsets(output.prepared) if words else None
    return (
        output.prepared.num_tokens - output.encoder.manifest.num_prefix_tokens
        if parts is None
        else len(parts.first_tokens)
    )


def _attribute_input(output: EmbeddingOutput, other_embedding: Floats, words: bool) -> InputAttribution:
    assert output.token_embeddings is not None
    manifest = output.encoder.manifest
    rows = output.token_embeddings[manifest.num_prefix_tokens :]
    contributions = _contributions(rows, other_embedding, manifest.embedding)
    relevance = output.attention.values if output.attention else None
    parts = get_word_offsets(output.prepared) if words else None
    if parts is None:
        return InputAttribution(output, rows, _l2_normalize(rows) @ other_embedding, contributions, relevance)
    word_embeddings = mean_from_words(rows, parts.first_tokens)
    per_word = [None if each is None else sum_to_words(each, parts.first_tokens) for each in (contributions, relevance)]
    return InputAttribution(output, word_embeddings, _l2_normalize(word_embeddings) @ other_embedding, *per_word)


def _contributions(rows: Floats, other_embedding: Floats, spec: EmbeddingSpec) -> Floats | None:
    """`[m]`, adding up to the cosine: the item's vector is the mean of `rows` `[m, e]`, whatever its length is."""
    if (spec.token_embeddings, spec.pooling) != ("pooled", "mean"):
        return None
    length = np.linalg.norm(rows.mean(axis=0))
    contributions: Floats = rows @ other_embedding / np.float32(len(rows) * max(float(length), EPSILON))
    return contributions


def _l2_normalize(vectors: Floats) -> Floats:
    """Scaled to length 1, `[..., e]`."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    normalized: Floats = vectors / np.maximum(lengths, np.float32(EPSILON))
    return normalized
