"""Position embeddings, added to features, and position biases, added to scores; neither depends on the batch.

learned     a vector a position
sinusoidal  sines and cosines of the position, Vaswani et al. (2017), section 3.5; of row and column on a grid
relative    a learned score for each distance and head, Shaw et al. (2018) in the form of Liu et al., Swin (2021)
none        attention then sees a set: permuting its input permutes its output

Letters: s positions, y, x rows and columns, e width, h heads.
"""

from typing import Literal

import torch
from torch import Tensor, nn

Position = Literal["learned", "sinusoidal", "relative", "none"]

INITIAL_STD = 0.02


def sinusoidal(positions: Tensor, width: int) -> Tensor:
    """Return, of positions `[s]`, `[s, e]`: sines, then cosines, of wavelengths from 2 pi to 10000 * 2 pi."""
    rates = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-torch.log(torch.tensor(10_000.0)) / width))
    angles = positions[:, None].float() * rates[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width]


def sinusoidal_grid(rows: int, columns: int, width: int) -> Tensor:
    """Return the sinusoidal code `[y*x, e]`: half of the width for the row, half for the column."""
    y, x = _coordinates(rows, columns).unbind(1)
    return torch.cat([sinusoidal(y, width // 2), sinusoidal(x, width - width // 2)], dim=1)


class PositionEmbedding(nn.Module):
    """Position embeddings added to features: learned, or `fixed` `[s, e]`, the sinusoidal code."""

    def __init__(self, kind: Literal["learned", "sinusoidal"], fixed: Tensor) -> None:
        super().__init__()
        self.table: Tensor
        if kind == "learned":
            self.table = nn.Parameter(torch.randn(fixed.shape) * INITIAL_STD)
        else:
            self.register_buffer("table", fixed, persistent=False)

    def forward(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        """Add to x `[..., s, e]` the embeddings of `positions` `[s]`, or of all positions in order."""
        return x + (self.table if positions is None else self.table[positions])


def position_embedding(kind: Position, fixed: Tensor) -> PositionEmbedding | None:
    """Return the module for `kind`; None where nothing is added to the features."""
    return PositionEmbedding(kind, fixed) if kind in ("learned", "sinusoidal") else None


class RelativeBias(nn.Module):
    """Learned scores by distance on a grid, per head: `[h, y*x, y*x]`, zero before training."""

    index: Tensor

    def __init__(self, heads: int, rows: int, columns: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(heads, (2 * rows - 1) * (2 * columns - 1)))
        coordinates = _coordinates(rows, columns)
        down, across = (coordinates[:, None] - coordinates[None]).unbind(-1)
        self.register_buffer("index", (down + rows - 1) * (2 * columns - 1) + across + columns - 1, persistent=False)

    def forward(self) -> Tensor:
        return self.table[:, self.index]

    def truncate(self, positions: int) -> Tensor:
        """Return the biases among the first `positions`: `[h, s, s]`."""
        return self.table[:, self.index[:positions, :positions]]


def _coordinates(rows: int, columns: int) -> Tensor:
    """Return the row and column of each position, row by row: `[y*x, 2]`."""
    return torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).reshape(-1, 2)
