"""Resampling of attention and patch vectors between grids, so that layers share one resolution.

A coarse cell's weight is spread evenly over the fine cells in it, and the fine cells of one coarse cell attend alike.
The result is a matrix over the fine grid whose rows still sum to 1.

Letters: b items, h heads, s positions of a grid, y, x its rows and columns, e width of a vector.
"""

from einops import rearrange, repeat
from torch import Tensor

from models.layers.errors import divide_exactly

Grid = tuple[int, int]


def upsample_attention(weights: Tensor, coarse: Grid, fine: Grid) -> Tensor:
    """Upsample `[b, h, s, s]` over `coarse` to `fine`, whose sides are multiples of the coarse ones."""
    if coarse == fine:
        return weights
    y, _ = coarse
    p1, p2 = (
        divide_exactly(f, c, "the coarse grid does not divide the fine") for f, c in zip(fine, coarse, strict=True)
    )
    cells = rearrange(weights, "b h (y x) (v u) -> b h y x v u", y=y, v=y) / (p1 * p2)
    return repeat(cells, "b h y x v u -> b h (y p1 x p2) (v q1 u q2)", p1=p1, p2=p2, q1=p1, q2=p2)


def upsample_embeddings(rows: Tensor, fine: Grid) -> Tensor:
    """Upsample `[b, y, x, e]` over a coarse grid to `[b, s, e]` over `fine` by repetition; the mean stays."""
    p1, p2 = (
        divide_exactly(f, c, "the coarse grid does not divide the fine")
        for f, c in zip(fine, rows.shape[1:3], strict=True)
    )
    return repeat(rows, "b y x e -> b (y p1 x p2) e", p1=p1, p2=p2)
