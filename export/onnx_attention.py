"""Attention as ONNX: one fused operator computes the outputs, and separate operators compute the weights.

`ai.onnx::Attention`, opset 24, with `nonpad_kv_seqlen` and no mask wherever there is none: the form that reaches
FlashAttention on CUDA and is fastest on CPU. It never returns the weights: this would disable the fused kernel, and
works on CPU only. A separate product and softmax compute the weights on every device, and only on request
(`export.conditional_outputs`). Export only: the operator traces, it does not compute.

Letters: b items, s longest item, h heads, k heads that are asked for, d width of one head.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from typing_extensions import override

from models.attention import AttentionRecorder, ScatterToGrid, identity
from models.packed import Bias, PackedLayout, padding_bias, resolve_bias

OPSET = 24

MASK_VALUE = -1e9
"""Replacement of -inf among scores: its exponential is 0 as well, and a whole row of it gives no NaN. Such rows are
padding within a window without tokens of the item."""

Inputs = tuple[Tensor, *tuple[Tensor | None, ...]]


@dataclass
class OnnxPackedAttention:
    """Attention over packed items for tracing, as `models.packed.AttentionFunction`.

    With `heads` `[k]` it watches: the weights of those go to `head_weights`.
    """

    head_indices: Tensor | None = None
    head_weights: list[Tensor] = field(default_factory=list)
    _bias: tuple[Tensor | None, Tensor] | None = None

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, layout: PackedLayout, heads: int, scale: float, bias: Bias | None
    ) -> tuple[Tensor, Tensor | None]:
        cache = (q.shape[0], heads, q.shape[1], q.shape[2] // heads)
        attributes = {"q_num_heads": heads, "kv_num_heads": heads, "scale": scale}
        rows = q, k
        q, k = (rearrange(x, "b s (h d) -> b h s d", h=heads) for x in rows)
        mask = resolve_bias(bias, q, k, scale)
        mask = None if mask is None else mask.to(q.dtype)
        out = _attention_op((*rows, v, mask, None, None, layout.lengths), attributes, [v.shape, cache, cache])
        if self.head_indices is None:
            return out, None
        # A layer's own bias is made again, of the scaled query and key as the scores are: nodes unlike those above,
        # which only the branch of the attention has. The ones above would be kept for it, of all layers at once.
        masked = self._masked_bias(q, layout, resolve_bias(bias, q * scale, k * scale, 1.0))
        self.head_weights.append(_head_weights(self.head_indices, q, k, masked, scale))
        return out, _attention_weights(q, k, masked, scale)

    def _masked_bias(self, q: Tensor, layout: PackedLayout, bias: Tensor | None) -> Tensor:
        """Return `padding_bias`, computed once for all layers with the same bias."""
        if self._bias is None or self._bias[0] is not bias:
            self._bias = bias, padding_bias(q, layout, bias).float().clamp(min=MASK_VALUE)
        return self._bias[1]


@dataclass
class OnnxAttentionRecorder(AttentionRecorder):
    """Attention over items of one length for tracing, as `models.attention.AttentionRecorder`; `head_indices` and
    `head_weights` as above."""

    head_indices: Tensor | None = None
    head_weights: list[Tensor] = field(default_factory=list)

    @override
    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        bias: Tensor | None = None,
        *,
        scale: float | None = None,
        scatter: ScatterToGrid = identity,
    ) -> Tensor:
        if self.head_indices is not None:
            scale = q.shape[-1] ** -0.5 if scale is None else scale
            self.head_weights.append(scatter(_head_weights(self.head_indices, q, k, bias, scale)))
        return super().attend(q, k, v, bias, scale=scale, scatter=scatter)

    @override
    def compute(
        self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, scale: float | None
    ) -> tuple[Tensor, Tensor | None]:
        scale = q.shape[-1] ** -0.5 if scale is None else scale
        cache = (*k.shape[:2], k.shape[2], q.shape[3])
        mask = None if bias is None else bias.to(q.dtype)
        out = _attention_op((q, k, v, mask), {"scale": scale}, [q.shape, cache, cache])
        return out, _attention_weights(q, k, bias, scale) if self.record else None


def _attention_op(inputs: Inputs, attributes: dict[str, Any], shapes: Sequence[Sequence[int]]) -> Tensor:
    """Return the operator's first output; the second and third, present key and value, are unused."""
    outputs = torch.onnx.ops.symbolic_multi_out(
        "::Attention", inputs, attributes, dtypes=[inputs[0].dtype] * len(shapes), shapes=shapes, version=OPSET
    )
    out: Tensor = outputs[0]
    return out


def _attention_weights(q: Tensor, k: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    """Compute `models.attention.attention_weights` without -inf in the bias: `[b, h, s, s]` in float32."""
    scores = ((q * scale) @ k.transpose(-1, -2)).float()
    return (scores if bias is None else scores + bias.float()).softmax(dim=-1)


def _head_weights(head_indices: Tensor, q: Tensor, k: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    """Select the weights of the chosen heads: `[b, k, s, s]`."""
    if bias is not None and bias.shape[1] > 1:
        bias = bias.index_select(1, head_indices)
    return _attention_weights(q.index_select(1, head_indices), k.index_select(1, head_indices), bias, scale)
