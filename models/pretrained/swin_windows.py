"""Attention of Swin's windows on the grid of its last stage, from which the embedding is pooled.

The finest map of Swin is 56 x 56: a matrix over it has ten million entries per head and image. Attention is therefore
not reported on that map (as AlterNet's is, `models.layers.grid_resampling`) but coarsened: the row of a coarse cell is
the mean over its fine cells of their attention to each coarse cell. Rows sum to 1, all layers share one grid, and
merging patches moves nothing out of its coarse cell. The last stage is reported as computed. No matrix over a fine map
is allocated.

Letters: b items, h heads, n windows, p positions of a window, c cells of the coarse grid, y, x rows and columns.
Source of the windows: Liu et al., "Swin Transformer" (2021), section 3.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from models.attention import ScatterToGrid, identity
from models.pretrained.errors import PretrainedError

Grid = tuple[int, int]


@dataclass(frozen=True)
class WindowedLayer:
    """Layer with its map `grid`, the side of its windows, and their shift up and left, around the edge."""

    grid: Grid
    side: int
    shift: int


def windowed_layers(config: Any, grid: Grid) -> list[WindowedLayer]:
    """List the layers of a SwinConfig with patches in `grid`, first layer first. Raises PretrainedError where cells are
    padded."""
    found = []
    for stage, depth in enumerate(config.depths):
        y, x = (length // 2**stage for length in grid)
        if (y * 2**stage, x * 2**stage) != grid or y % config.window_size or x % config.window_size:
            raise PretrainedError(
                f"windows of {config.window_size} and {len(config.depths)} stages do not divide {grid[0]} x {grid[1]} "
                "patches: Swin would pad them outside the image"
            )
        shift = 0 if min(y, x) <= config.window_size else config.window_size // 2
        found += [WindowedLayer((y, x), config.window_size, shift * (block % 2)) for block in range(depth)]
    return found


def scatter_windows(layers: Sequence[WindowedLayer]) -> tuple[ScatterToGrid, ...]:
    """Return for each layer its mapping to the grid of the last."""
    coarse = layers[-1].grid
    return tuple(_scatter_layer(layer, coarse) for layer in layers)


def _scatter_layer(layer: WindowedLayer, coarse: Grid) -> ScatterToGrid:
    if layer.grid == coarse == (layer.side, layer.side):
        return identity
    members = _patch_membership(layer, coarse)

    def scatter(weights: Tensor) -> Tensor:
        return pool_to_grid(weights, members.to(weights))

    return scatter


def _patch_membership(layer: WindowedLayer, coarse: Grid) -> Tensor:
    """Return `[n, p, c]`: 1 where position p of window n lies in the coarse cell c."""
    (y, x), (v, u) = layer.grid, coarse
    cells = torch.arange(v * u).reshape(v, u)
    fine = cells.repeat_interleave(y // v, dim=0).repeat_interleave(x // u, dim=1)
    shifted = fine.roll((-layer.shift, -layer.shift), dims=(0, 1))
    windows = rearrange(shifted, "(y p1) (x p2) -> (y x) (p1 p2)", p1=layer.side, p2=layer.side)
    return torch.nn.functional.one_hot(windows, v * u).float()


def pool_to_grid(weights: Tensor, members: Tensor) -> Tensor:
    """Pool the weights of windows `[b*n, h, p, p]` -> `[b, h, c, c]`; members `[n, p, c]`."""
    n, _, c = members.shape
    given = rearrange(weights, "(b n) h p q -> b n h p q", n=n) @ members[None, :, None]
    by_patch = rearrange(members, "n p c -> c (n p)")
    each = by_patch.shape[1] // c
    coarsened: Tensor = by_patch / each @ rearrange(given, "b n h p c -> b h (n p) c")
    return coarsened
