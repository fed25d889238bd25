"""How far a device's answers are from the CPU's, at ragged lengths, on the same artifact or on one of less precision.

Letters: b items, e embedding width.
"""

from collections.abc import Sequence

import numpy as np

from models.contract import tensors
from models.contract.arrays import Floats, Ints
from service.runtime.encoder import TextEncoder

LENGTHS = (1, 3, 17, 40, 128, 200)
"""Tokens of the items of a batch, as far as the model takes them: most of the batch is padding around attention."""

ROLLOUT = tensors.pooled("rollout")


def items(encoder: TextEncoder, lengths: Sequence[int], seed: int = 0) -> list[Ints]:
    """Items of these lengths, or as long as the model takes: random ids of its vocabulary."""
    rng, text = np.random.default_rng(seed), encoder.manifest.text
    assert text is not None
    return [rng.integers(0, text.vocabulary_size, min(n, text.max_tokens)) for n in lengths]


def differences(found: TextEncoder, reference: TextEncoder) -> dict[str, float]:
    """Between vectors of length 1 and between rollouts: largest difference, smallest cosine."""
    batch = items(reference, LENGTHS)
    (vectors, rollout), (others, other_rollout) = (_answers(encoder, batch) for encoder in (found, reference))
    return {
        "embedding_max_abs": float(np.abs(vectors - others).max()),
        "embedding_min_cosine": float(np.einsum("be,be->b", vectors, others).min()),
        "rollout_max_abs": float(np.abs(rollout - other_rollout).max()),
    }


def _answers(encoder: TextEncoder, batch: list[Ints]) -> tuple[Floats, Floats]:
    answers = encoder.run(batch, (tensors.EMBEDDING, ROLLOUT))
    return encoder.finish(answers[tensors.EMBEDDING], normalize=True), answers[ROLLOUT]
