"""Names of the tensors that cross the artifact's border, spelled once.

Text graphs take what `packing.pack` gives, image graphs `PIXELS`. An output must not bear the name of a submodule of
the exported model ("embeddings" collides inside ONNX), hence the long names.
"""

from typing import Literal, get_args

Reduction = Literal["rollout", "last", "mean", "max"]
REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)

PIXELS = "pixels"
"""[b, y, x, 3] uint8, sRGB: the one input of an image graph."""

EMBEDDING = "item_embedding"
"""[b, e] pooled, not yet normalised: truncation to fewer dimensions comes before normalisation."""


def matrix(reduction: Reduction) -> str:
    """[b, s, s]: what each token (row) attends to, each row summing to 1. Of a picture, its cells alone."""
    return f"relevance_{reduction}_matrix"


def pooled(reduction: Reduction) -> str:
    """[b, s]: the rows pooled the way the model pools its embedding, summing to 1. Of a picture, its cells alone."""
    return f"relevance_{reduction}_pooled"


def weights(layer: int) -> str:
    """[b, h, s, s]: one layer's attention weights as computed, prefix positions included."""
    return f"attention_weights_{layer}"


def observed(layers: int) -> tuple[str, ...]:
    """Everything that attend.onnx gives beside the embedding, in its order."""
    reduced = [name(reduction) for reduction in REDUCTIONS for name in (matrix, pooled)]
    return (*reduced, *map(weights, range(layers)))
