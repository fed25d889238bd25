"""How a graph is told what to compute beside the embedding. Letters: k heads."""

from collections.abc import Collection, Sequence

import numpy as np

from models.contract import tensors
from models.contract.arrays import Data


def asking(outputs: Sequence[str], wanted: Collection[str], heads: Sequence[int]) -> dict[str, Data]:
    """The inputs by which a graph with these `outputs` computes those `wanted`, raw weights of `heads` alone.

    A graph without attention has no heads to choose.
    """
    beside = [name for name in outputs if name != tensors.EMBEDDING]
    asked = np.array([name in wanted for name in beside])
    told = {tensors.OBSERVE: np.array(asked.any()), tensors.ASKED: asked}
    return told if beside == [tensors.POSITIONS] else told | {tensors.HEADS: np.array(heads, dtype=np.int64)}
