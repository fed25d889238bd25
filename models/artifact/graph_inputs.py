"""Inputs of a graph: ragged items packed into one sequence, and the selection of outputs.

Packing spares the linear layers all padding: the graph gathers `[t, e]` to `[b, s, e]` by `unpack_index` around
attention only, and back by `pack_index`. Letters: b items, t tokens of all items together, s longest item, k heads.
"""

from collections.abc import Collection, Sequence

import numpy as np

from models.artifact import tensors
from models.artifact.arrays import InputArray, Ints

INPUTS = ("input_ids", "position_ids", "pack_index", "unpack_index", "lengths")
"""Inputs of every text graph, in the order of the exported signature; `tensors.TOKEN_TYPE_IDS` may follow."""


def pack(items: Sequence[Ints], *, position_offset: int = 0) -> dict[str, Ints]:
    """Pack token ids, each `[n_i]` with n_i >= 1, into the inputs of a text graph.

    Items of a model that embeds token types are `[2, n_i]`: ids, then types. Returns `input_ids`, `position_ids`,
    `pack_index` of shape `[t]`, `unpack_index` `[b, s]` and `lengths` `[b]`; with types, `token_type_ids` `[t]` too.
    Cells of `unpack_index` past an item's length point at token 0: what is computed there is never read.
    """
    lengths = np.array([item.shape[-1] for item in items], dtype=np.int64)
    if not len(items) or lengths.min() < 1:
        raise ValueError("a batch needs at least one item, and every item at least one token")
    rows = np.repeat(np.arange(len(items)), lengths)
    starts = np.cumsum(lengths) - lengths
    columns = np.arange(len(rows)) - starts[rows]
    unpack_index = np.zeros((len(items), int(lengths.max())), dtype=np.int64)
    unpack_index[rows, columns] = np.arange(len(rows))
    packed = np.concatenate(items, axis=-1).astype(np.int64, copy=False)
    ids, *types = packed if packed.ndim == 2 else (packed,)
    return {
        "input_ids": np.ascontiguousarray(ids),
        "position_ids": columns + position_offset,
        "pack_index": rows * unpack_index.shape[1] + columns,
        "unpack_index": unpack_index,
        "lengths": lengths,
        **({tensors.TOKEN_TYPE_IDS: np.ascontiguousarray(types[0])} if types else {}),
    }


def output_selection_inputs(
    outputs: Sequence[str], requested: Collection[str], head_indices: Sequence[int]
) -> dict[str, InputArray]:
    """Return the inputs for which a graph with these `outputs` computes the `requested` ones.

    Raw weights are computed for `head_indices` only. Graphs without attention lack the attention inputs.
    """
    optional_outputs = [name for name in outputs if name != tensors.OUTPUT]
    output_mask = np.array([name in requested for name in optional_outputs])
    inputs = {tensors.OUTPUT_MASK: output_mask}
    attention = [name for name in optional_outputs if name not in tensors.WITHOUT_ATTENTION]
    if not attention:
        return inputs
    output_attentions = np.array(any(name in requested for name in attention))
    return inputs | {
        tensors.OUTPUT_ATTENTIONS: output_attentions,
        tensors.HEAD_INDICES: np.array(head_indices, dtype=np.int64),
    }
