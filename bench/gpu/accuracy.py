"""Differences of a device's outputs from the CPU's, at ragged lengths, of one artifact or of one in lower precision.

Letters: b items, e embedding width.
"""

from collections.abc import Sequence

import numpy as np

from models.artifact import tensors
from models.artifact.arrays import Floats, Ints
from service.runtime.encoder import TextEncoder

LENGTHS = (1, 3, 17, 40, 128, 200)
"""Tokens of the items of a batch, up to the model's limit: most of the batch is padding in attention."""

ROLLOUT = tensors.pooled_reduction("rollout")


def random_inputs(encoder: TextEncoder, lengths: Sequence[int], seed: int = 0) -> list[Ints]:
    """Items of these lengths, or as long as the model takes: random ids of its vocabulary."""
    rng, text = np.random.default_rng(seed), encoder.manifest.text
    assert text is not None
    return [rng.integers(0, text.vocab_size, min(n, text.max_tokens)) for n in lengths]


def differences(tested: TextEncoder, reference: TextEncoder) -> dict[str, float]:
    """Between vectors of length 1 and between rollouts: largest difference, smallest cosine."""
    batch = random_inputs(reference, LENGTHS)
    (vectors, rollout), (reference_vectors, reference_rollout) = (
        _run(encoder, batch) for encoder in (tested, reference)
    )
    return {
        "embedding_max_abs": float(np.abs(vectors - reference_vectors).max()),
        "embedding_min_cosine": float(np.einsum("be,be->b", vectors, reference_vectors).min()),
        "rollout_max_abs": float(np.abs(rollout - reference_rollout).max()),
    }


def _run(encoder: TextEncoder, batch: list[Ints]) -> tuple[Floats, Floats]:
    outputs = encoder.run(batch, (tensors.OUTPUT, ROLLOUT))
    return encoder.postprocess(outputs[tensors.OUTPUT], normalize=True), outputs[ROLLOUT]
