"""Attention as one ONNX operator: `ai.onnx::Attention`, opset 24, 3-D, with `nonpad_kv_seqlen` and no mask.

The form that reaches FlashAttention on CUDA and is fastest on CPU. Export only: these functions trace, they do not
compute; `models.packed.torch_spelling` is the same in torch.

Letters: b items, s longest item, h heads, d width of one head.
"""

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from models.attention import Observer
from models.packed import Layout

OPSET = 24

POST_SOFTMAX = 3
"""`qk_matmul_output_mode` of the weights after softmax. ONNX Runtime implements it on CPU only; 1 and 2 were once
swapped between releases and are never used."""


def fused(
    q: Tensor, k: Tensor, v: Tensor, layout: Layout, heads: int, scale: float, bias: Tensor | None
) -> tuple[Tensor, None]:
    """Attention whose weights are never made: q, k, v `[b, s, h*d]` -> `[b, s, h*d]`."""
    out, *_ = _operator(q, k, v, layout, heads, scale, bias, observable=False)
    return out, None


def observable(
    q: Tensor, k: Tensor, v: Tensor, layout: Layout, heads: int, scale: float, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Attention and its weights `[b, h, s, s]`, by the same operator."""
    out, _, _, weights = _operator(q, k, v, layout, heads, scale, bias, observable=True)
    return out, _declare_shape(weights, layout, heads)


class OnnxObserver(Observer):
    """Attention over items of one length, as the same operator in its 4-D form: a mask where there is a bias."""

    @override
    def compute(
        self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, scale: float | None
    ) -> tuple[Tensor, Tensor | None]:
        b, h, s, d = q.shape
        past = (b, h, k.shape[2], d)
        shapes = [(b, h, s, d), past, past, *[(b, h, s, k.shape[2])] * self.watching]
        attributes: dict[str, Any] = {"scale": d**-0.5 if scale is None else scale}
        if self.watching:
            attributes["qk_matmul_output_mode"] = POST_SOFTMAX
        outputs = torch.onnx.ops.symbolic_multi_out(
            "::Attention", (q, k, v, bias), attributes, dtypes=[q.dtype] * len(shapes), shapes=shapes, version=OPSET
        )
        return outputs[0], outputs[3] if self.watching else None


def _operator(
    q: Tensor, k: Tensor, v: Tensor, layout: Layout, h: int, scale: float, bias: Tensor | None, *, observable: bool
) -> tuple[Tensor, ...]:
    b, s, e = q.shape
    cache = (b, h, s, e // h)
    shapes: list[tuple[int, ...]] = [(b, s, e), cache, cache] + [(b, h, s, s)] * observable
    attributes: dict[str, Any] = {"q_num_heads": h, "kv_num_heads": h, "scale": scale}
    if observable:
        attributes["qk_matmul_output_mode"] = POST_SOFTMAX
    outputs = torch.onnx.ops.symbolic_multi_out(
        "::Attention",
        (q, k, v, bias, None, None, layout.lengths),  # inputs 4 and 5: past key, past value
        attributes,
        dtypes=[q.dtype] * len(shapes),
        shapes=shapes,
        version=OPSET,
    )
    return tuple(outputs)


def _declare_shape(weights: Tensor, layout: Layout, heads: int) -> Tensor:
    """Reshape `[b, h, s, s]` to itself: ONNX Runtime 1.31 infers length 0 for the last axis when it is dynamic."""
    shape: Tensor = torch.onnx.ops.symbolic(
        "::Shape", (layout.unpack_index,), {}, dtype=torch.int64, shape=(2,), version=OPSET
    )
    b, s = shape[:1], shape[1:]
    target = torch.cat([b, torch.tensor([heads]), s, s])
    reshaped: Tensor = torch.onnx.ops.symbolic(
        "::Reshape", (weights, target), {}, dtype=weights.dtype, shape=weights.shape, version=OPSET
    )
    return reshaped
