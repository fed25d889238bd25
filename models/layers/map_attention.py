"""Attention over feature maps: queries, keys and values by 1x1 convolutions, over the whole map or within windows.

Letters: b items, c channels, y, x rows and columns of the map, s = y*x positions row by row, h heads, d width of one
head, n windows, p positions of one window.
Sources: Wang et al., "Non-local Neural Networks" (2018), section 3.2, the embedded Gaussian; scores scaled
as in the primitive, any number of heads and no halving of channels are ours. Windows: Liu et al., "Swin Transformer"
(2021), section 3.2, without the shift.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from models.attention import AttentionRecorder
from models.layers.errors import divide_exactly
from models.layers.position_embedding import RelativeBias
from models.layers.projection import MapProjection, Projection
from models.layers.self_attention import AttentionScore, ScoreKind


@dataclass(frozen=True)
class MapAttentionPlan:
    """Shape of map attention. `grid` is the map's rows and columns; `window` None attends over all of it.

    `head_width` None shares the channels among the heads; `out_channels` None gives back as many as came in.
    `relative` adds a learned bias by distance.
    """

    channels: int
    grid: tuple[int, int]
    heads: int = 1
    head_width: int | None = None
    out_channels: int | None = None
    window: int | None = None
    projection: Projection = "separate"
    score: ScoreKind = "dot"
    relative: bool = False


class MapAttention(nn.Module):
    """Attention over a feature map: `[b, c, y, x]` -> `[b, out_channels, y, x]`. Recorded weights are over the whole
    map: `[b, h, s, s]`."""

    def __init__(self, plan: MapAttentionPlan) -> None:
        super().__init__()
        rows, columns = plan.grid
        self.side = (rows, columns) if plan.window is None else (plan.window, plan.window)
        for length, side in zip(plan.grid, self.side, strict=True):
            divide_exactly(length, side, "the window does not divide the map")
        inner = None if plan.head_width is None else plan.heads * plan.head_width
        self.project = MapProjection(plan.channels, plan.projection, inner=inner)
        divide_exactly(self.project.inner, plan.heads, "heads do not divide the channels")
        self.heads = plan.heads
        self.scoring = AttentionScore(plan.heads, plan.score)
        self.relative = RelativeBias(plan.heads, *self.side) if plan.relative else None
        self.out = nn.Conv2d(self.project.inner, plan.out_channels or plan.channels, 1)

    def forward(self, x: Tensor, recorder: AttentionRecorder) -> Tensor:
        grid = (x.shape[2] // self.side[0], x.shape[3] // self.side[1])
        q, k, v = (self._windows(part) for part in self.project(x))
        q, k = self.scoring(q, k)
        bias = None if self.relative is None else self.relative()[None]
        mixed = recorder.attend(q, k, v, bias, scatter=lambda weights: scatter_windows_to_map(weights, grid, self.side))
        out: Tensor = self.out(self._map(mixed, grid))
        return out

    def _windows(self, x: Tensor) -> Tensor:
        """Cut the map `[b, h*d, y, x]` into windows `[b*n, h, p, d]`."""
        p1, p2 = self.side
        return rearrange(x, "b (h d) (y p1) (x p2) -> (b y x) h (p1 p2) d", h=self.heads, p1=p1, p2=p2)

    def _map(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Join windows `[b*n, h, p, d]` to a map `[b, h*d, y, x]`."""
        (y, x_), (p1, p2) = grid, self.side
        return rearrange(x, "(b y x) h (p1 p2) d -> b (h d) (y p1) (x p2)", y=y, x=x_, p1=p1, p2=p2)


def scatter_windows_to_map(weights: Tensor, grid: tuple[int, int], side: tuple[int, int]) -> Tensor:
    """Scatter the weights of windows `[b*n, h, p, p]` to the map `[b, h, s, s]`: zero outside each window."""
    (y, x), (p1, p2) = grid, side
    if y * x == 1:
        return weights
    own = torch.eye(y * x, dtype=weights.dtype, device=weights.device)
    scattered = rearrange(weights, "(b n) h p q -> b h n p 1 q", n=y * x) * own[:, None, :, None]
    return rearrange(
        scattered,
        "b h (y x) (p1 p2) (v u) (q1 q2) -> b h (y p1 x p2) (v q1 u q2)",
        y=y,
        v=y,
        p1=p1,
        p2=p2,
        q1=p1,
        q2=p2,
    )
