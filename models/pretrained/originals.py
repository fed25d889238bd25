"""The same checkpoints by `transformers`' own attention: what parity is measured against, in float64.

Nothing here goes through `models.attention` or `models.pretrained.routing`.

Letters: b items, h heads, n windows, p positions of a window, s positions of `PictureEncoder.grid` and its prefix,
y, x rows and columns of the picture in px, e width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from transformers.models.swin.modeling_swin import window_partition

from models.precision import convert
from models.pretrained.exact import Exact
from models.pretrained.vision import Opened


@dataclass(frozen=True)
class Original:
    """`vector` `[b, e]`, `positions` `[b, s, e]`, `weights` `[b, h, s, s]` a layer, and what a probe pooled by:
    `shares` `[b, s]`."""

    vector: Tensor
    positions: Tensor
    weights: list[Tensor]
    shares: Tensor | None


def original(opened: Opened, dtype: torch.dtype = torch.float64) -> Callable[[Tensor], Original]:
    """A function of pixels `[b, y, x, 3]`, 0 to 255, that computes in `dtype`. Raises PretrainedError."""
    middle, spread = torch.tensor(opened.middle, dtype=dtype), torch.tensor(opened.spread, dtype=dtype)
    model: Any = convert(opened.load("eager"), dtype)
    watch = _windows_watched if opened.architecture.windowed else _watched

    @torch.no_grad()
    def answer(pixels: Tensor) -> Original:
        images = (pixels.to(dtype) / 255 - middle) / spread
        with Exact():
            return watch(model, images.permute(0, 3, 1, 2), opened)

    return answer


def _watched(model: Any, images: Tensor, opened: Opened) -> Original:
    out = model(pixel_values=images, output_attentions=True)
    shares = None
    if opened.plan.pooling == "attention":
        probe = model.head.probe.expand(len(images), -1, -1)
        shares = model.head.attention(probe, out.last_hidden_state, out.last_hidden_state)[1][:, 0]
    return Original(*_vectors(model, out, opened), list(out.attentions), shares)


def _windows_watched(model: Any, images: Tensor, opened: Opened) -> Original:
    """`transformers` returns the last layer of a stage only: all are caught as they are made."""
    seen: list[Tensor] = []
    blocks = [block for stage in model.encoder.layers for block in stage.blocks]
    hooks = [block.attention.register_forward_hook(lambda _m, _in, out: seen.append(out[1])) for block in blocks]
    try:
        out = model(pixel_values=images)
    finally:
        for hook in hooks:
            hook.remove()
    weights = [_by_cell(*each, opened.plan.grid, len(images)) for each in zip(blocks, seen, strict=True)]
    return Original(*_vectors(model, out, opened), weights, None)


def _vectors(model: Any, out: Any, opened: Opened) -> tuple[Tensor, Tensor]:
    return opened.plan.pool.vector(out, opened.plan.prefix), opened.plan.pool.rows(model, out)


def _by_cell(block: Any, windows: Tensor, grid: tuple[int, int], count: int) -> Tensor:
    """Windows' weights `[b*n, h, p, p]` summed by the cells of `grid` that they lie in, as a mean over queries."""
    h, s = windows.shape[1], grid[0] * grid[1]
    y, x = block.input_resolution
    cells = torch.arange(s).reshape(1, *grid, 1)
    fine = cells.repeat_interleave(y // grid[0], dim=1).repeat_interleave(x // grid[1], dim=2)
    where = window_partition(block.cyclic_shift(fine), block.window_size).flatten(1)
    pairs = (where[:, :, None] * s + where[:, None, :]).flatten()
    flat = rearrange(windows, "(b n) h p q -> b h (n p q)", b=count)
    summed = torch.zeros(count, h, s * s, dtype=windows.dtype).index_add(2, pairs, flat)
    weights: Tensor = summed.reshape(count, h, s, s) / (y * x // s)
    return weights
