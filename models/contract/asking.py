"""How a graph is told what to compute beside the embedding. Letters: k heads."""

from collections.abc import Collection, Sequence

import numpy as np

from models.contract import tensors
from models.contract.arrays import Data


def asking(outputs: Sequence[str], wanted: Collection[str], heads: Sequence[int]) -> dict[str, Data]:
    """The inputs by which a graph with these `outputs` computes those `wanted`, raw weights of `heads` alone.

    A graph without attention has none to observe, and no heads.
    """
    beside = [name for name in outputs if name != tensors.EMBEDDING]
    asked = np.array([name in wanted for name in beside])
    told = {tensors.ASKED: asked}
    attention = [name for name in beside if name != tensors.POSITIONS]
    if not attention:
        return told
    observe = np.array(any(name in wanted for name in attention))
    return told | {tensors.OBSERVE: observe, tensors.HEADS: np.array(heads, dtype=np.int64)}
