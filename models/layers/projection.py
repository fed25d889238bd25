"""Projections to query, key and value.

separate  three linear maps, as in Vaswani et al. (2017), section 3.2.2
shared    one linear map for all three: the score matrix is then symmetric
none      the features themselves

Over a feature map a linear map is a 1x1 convolution, as in Wang et al., "Non-local Neural Networks" (2018).
Letters: b items, s positions, e width, c channels, y, x rows and columns.
"""

from typing import Final, Literal

from torch import Tensor, nn

Projection = Literal["separate", "shared", "none"]
QueryKeyValue = tuple[Tensor, Tensor, Tensor]

NUM_PROJECTIONS: Final[dict[Projection, int]] = {"separate": 3, "shared": 1, "none": 0}
"""Number of linear maps."""


class SequenceProjection(nn.Module):
    """Projects `[b, s, e]` to q, k, v, each `[b, s, e]`."""

    def __init__(self, width: int, kind: Projection) -> None:
        super().__init__()
        self.kind = kind
        self.linear = nn.Linear(width, NUM_PROJECTIONS[kind] * width) if NUM_PROJECTIONS[kind] else None

    def forward(self, x: Tensor) -> QueryKeyValue:
        return _split_projection(x if self.linear is None else self.linear(x), self.kind, axis=-1)


class MapProjection(nn.Module):
    """Projects `[b, c, y, x]` to q, k, v, each `[b, inner, y, x]`."""

    def __init__(self, channels: int, kind: Projection, *, inner: int | None = None) -> None:
        super().__init__()
        self.inner = channels if kind == "none" or inner is None else inner
        self.kind = kind
        self.convolution = nn.Conv2d(channels, NUM_PROJECTIONS[kind] * self.inner, 1) if NUM_PROJECTIONS[kind] else None

    def forward(self, x: Tensor) -> QueryKeyValue:
        return _split_projection(x if self.convolution is None else self.convolution(x), self.kind, axis=1)


def _split_projection(projected: Tensor, kind: Projection, axis: int) -> QueryKeyValue:
    if kind == "separate":
        q, k, v = projected.chunk(3, dim=axis)
        return q, k, v
    return projected, projected, projected
