"""Reference of parity: the same checkpoints with `transformers`' own attention, in float64.

Nothing here goes through `models.attention` or `models.pretrained.attention_interface`.

Letters: b items, h heads, n windows, p positions of a window, s positions of `VisionEncoder.grid` and its prefix,
y, x rows and columns of the image in px, e width.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from transformers.models.swin.modeling_swin import window_partition

from models.precision import convert
from models.pretrained.keep_float64 import KeepFloat64
from models.pretrained.vision import VisionSource


@dataclass(frozen=True)
class ImageReferenceOutput:
    """`output` `[b, e]`, or a head's logits `[b, c]`, `token_embeddings` `[b, s, e]`, `weights` `[b, h, s, s]` a layer,
    and what a probe pooled by: `pooling_weights` `[b, s]`."""

    output: Tensor
    token_embeddings: Tensor
    weights: list[Tensor]
    pooling_weights: Tensor | None


def reference_model(
    source: VisionSource, dtype: torch.dtype = torch.float64
) -> Callable[[Tensor], ImageReferenceOutput]:
    """Return a function of pixels `[b, y, x, 3]`, 0 to 255, that computes in `dtype`. Raises PretrainedError."""
    image_mean, image_std = torch.tensor(source.image_mean, dtype=dtype), torch.tensor(source.image_std, dtype=dtype)
    loaded: Any = convert(source.load("eager"), dtype)
    model = source.encoder_of(loaded)
    run_model = _run_windowed if source.architecture.windowed else _run_with_attention

    @torch.no_grad()
    def run(pixels: Tensor) -> ImageReferenceOutput:
        images = (pixels.to(dtype) / 255 - image_mean) / image_std
        with KeepFloat64():
            output = run_model(model, images.permute(0, 3, 1, 2), source)
            if source.task == "embed":
                return output
            return replace(output, output=loaded(pixel_values=images.permute(0, 3, 1, 2)).logits)

    return run


def _run_with_attention(model: Any, images: Tensor, source: VisionSource) -> ImageReferenceOutput:
    out = model(pixel_values=images, output_attentions=True)
    pooling_weights = None
    if source.plan.pooling == "attention":
        probe = model.head.probe.expand(len(images), -1, -1)
        pooling_weights = model.head.attention(probe, out.last_hidden_state, out.last_hidden_state)[1][:, 0]
    return ImageReferenceOutput(*_vectors(model, out, source), list(out.attentions), pooling_weights)


def _run_windowed(model: Any, images: Tensor, source: VisionSource) -> ImageReferenceOutput:
    """Collect every layer of a stage as it runs: `transformers` returns the last one only."""
    window_weights: list[Tensor] = []
    blocks = [block for stage in model.encoder.layers for block in stage.blocks]
    hooks = [
        block.attention.register_forward_hook(lambda _m, _in, out: window_weights.append(out[1])) for block in blocks
    ]
    try:
        out = model(pixel_values=images)
    finally:
        for hook in hooks:
            hook.remove()
    weights = [_sum_by_patch(*each, source.plan.grid, len(images)) for each in zip(blocks, window_weights, strict=True)]
    return ImageReferenceOutput(*_vectors(model, out, source), weights, None)


def _vectors(model: Any, out: Any, source: VisionSource) -> tuple[Tensor, Tensor]:
    return source.plan.pool.vector(out, source.plan.num_prefix_tokens), source.plan.pool.token_embeddings(model, out)


def _sum_by_patch(block: Any, windows: Tensor, grid: tuple[int, int], count: int) -> Tensor:
    """Windows' weights `[b*n, h, p, p]` summed by the cells of `grid` that they lie in, as a mean over queries."""
    h, s = windows.shape[1], grid[0] * grid[1]
    y, x = block.input_resolution
    patches = torch.arange(s).reshape(1, *grid, 1)
    fine = patches.repeat_interleave(y // grid[0], dim=1).repeat_interleave(x // grid[1], dim=2)
    where = window_partition(block.cyclic_shift(fine), block.window_size).flatten(1)
    pairs = (where[:, :, None] * s + where[:, None, :]).flatten()
    flat = rearrange(windows, "(b n) h p q -> b h (n p q)", b=count)
    summed = torch.zeros(count, h, s * s, dtype=windows.dtype).index_add(2, pairs, flat)
    weights: Tensor = summed.reshape(count, h, s, s) / (y * x // s)
    return weights
