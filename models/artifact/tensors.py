"""Names of a graph's input and output tensors.

Text graphs take what `packing.pack` returns, image graphs `PIXELS`; all take `OUTPUT_MASK`, and those of models with
attention `OUTPUT_ATTENTIONS` and `HEAD_INDICES`. An output must not have the name of a submodule of the exported model
("embeddings" collides inside ONNX), hence the long names.
"""

from typing import Literal, get_args

Reduction = Literal["rollout", "last", "mean", "max"]
REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)

Combination = Literal["mean", "max"]
COMBINATIONS: tuple[Combination, ...] = get_args(Combination)
"""Ways to combine the heads of one layer."""

PIXELS = "pixels"
"""[b, y, x, 3] uint8, sRGB: the one input of an image graph."""

OUTPUT_ATTENTIONS = "output_attentions"
"""Boolean: whether any attention output is requested."""

OUTPUT_MASK = "output_mask"
"""Booleans, one per output other than `OUTPUT`, in order; outputs that are not requested are empty."""

HEAD_INDICES = "head_indices"
"""[k] int64: the heads whose raw weights are computed. Reductions ignore it."""

OUTPUT = "item_output"
"""What the model is for: an embedding `[b, e]`, pooled and not yet normalized, since truncation to fewer dimensions
comes before normalization; the c logits of a head, `[b, c]`; those of a head over tokens, `[b, s, c]`; or the weights
of a sparse vector over the vocabulary, `[b, c]`."""

TOKEN_TYPE_IDS = "token_type_ids"  # noqa: S105 - the name of a tensor
"""[t] int64: which of a pair's texts a token belongs to. An input of the models that embed it."""

TOKEN_EMBEDDINGS = "token_embeddings"  # noqa: S105 - the name of a tensor
"""[b, s, e]: the vector of each token, or of each of an image's prefix positions and patches, in the embedding's space
(`specs.TokenEmbeddingKind` says how they relate to it). Rows past an input's length are never read."""


SPARSE_TOKENS = "sparse_tokens"
"""[b, c] float32: the index of the token that gave each entry of a sparse vector its weight, of sparse encoders."""

WITHOUT_ATTENTION = (TOKEN_EMBEDDINGS, SPARSE_TOKENS)
"""Optional outputs that are computed without the attention weights."""


def reduction_matrix(reduction: Reduction) -> str:
    """Name `[b, s, s]`: what each token (row) attends to, each row summing to 1; of an image, its patches only."""
    return f"relevance_{reduction}_matrix"


def pooled_reduction(reduction: Reduction) -> str:
    """Name `[b, s]`: the rows pooled the way the model pools its embedding, summing to 1; of an image, its
    patches only."""
    return f"relevance_{reduction}_pooled"


def layer_weights(layer: int) -> str:
    """Name `[b, k, s, s]`: one layer's attention weights as computed, prefix positions included."""
    return f"attention_weights_{layer}"


def pooled_layer_weights(layer: int) -> str:
    """Name `[b, k, s]`: each head's rows of one layer, pooled the way the model pools its embedding."""
    return f"attention_weights_{layer}_pooled"


def combined_heads(layer: int, combination: Combination) -> str:
    """Name `[b, s, s]`: one layer's heads combined, prefix positions included; each row sums to 1."""
    return f"{layer_weights(layer)}_{combination}"


def pooled_combined_heads(layer: int, combination: Combination) -> str:
    """Name `[b, s]`: the rows of a layer's combined heads, pooled the way the model pools its embedding."""
    return f"{combined_heads(layer, combination)}_pooled"


def layer_outputs(layer: int) -> tuple[str, ...]:
    """Return the attention outputs of one layer."""
    reduced = [name(layer, how) for how in COMBINATIONS for name in (combined_heads, pooled_combined_heads)]
    return (layer_weights(layer), pooled_layer_weights(layer), *reduced)


def attention_outputs(layers: int) -> tuple[str, ...]:
    """Return the attention outputs of `layers` layers, in the graph's order."""
    reduced = [name(reduction) for reduction in REDUCTIONS for name in (reduction_matrix, pooled_reduction)]
    return (*reduced, *(name for layer in range(layers) for name in layer_outputs(layer)))


def graph_outputs(layers: int, *, sparse: bool = False) -> tuple[str, ...]:
    """Return all outputs of a graph with `layers` layers of attention, in order; `sparse` for a sparse encoder's."""
    without_attention = WITHOUT_ATTENTION if sparse else (TOKEN_EMBEDDINGS,)
    return (OUTPUT, *without_attention, *(attention_outputs(layers) if layers else ()))
