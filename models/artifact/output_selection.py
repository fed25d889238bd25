"""Graph inputs that select the outputs computed in addition to the embedding. Letters: k heads."""

from collections.abc import Collection, Sequence

import numpy as np

from models.artifact import tensors
from models.artifact.arrays import InputArray


def output_selection_inputs(
    outputs: Sequence[str], requested: Collection[str], head_indices: Sequence[int]
) -> dict[str, InputArray]:
    """Return the inputs for which a graph with these `outputs` computes the `requested` ones.

    Raw weights are computed for `head_indices` only. Graphs without attention lack the attention inputs.
    """
    optional_outputs = [name for name in outputs if name != tensors.EMBEDDING]
    output_mask = np.array([name in requested for name in optional_outputs])
    inputs = {tensors.OUTPUT_MASK: output_mask}
    attention = [name for name in optional_outputs if name != tensors.TOKEN_EMBEDDINGS]
    if not attention:
        return inputs
    output_attentions = np.array(any(name in requested for name in attention))
    return inputs | {
        tensors.OUTPUT_ATTENTIONS: output_attentions,
        tensors.HEAD_INDICES: np.array(head_indices, dtype=np.int64),
    }
