"""Data-dependent convolution f(x) * x: the features of each position make its kernel.

Like attention it mixes by weights that the input decides; unlike attention it compares no two positions, reaches only
as far as its kernel, and its weights are not a distribution: they may be negative and need not sum to 1.

Letters: b items, c channels, g groups of channels that share a kernel, k side of the kernel, y, x rows and columns.
Source: Li et al., "Involution: Inverting the Inherence of Convolution for Visual Recognition" (2021), section 3.
"""

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from models.layers.errors import divide_exactly, require_odd


class DynamicConvolution(nn.Module):
    """Convolution with a kernel per position: `[b, c, y, x]` -> `[b, c, y, x]`."""

    def __init__(self, channels: int, *, groups: int, kernel: int, reduction: int = 4) -> None:
        super().__init__()
        divide_exactly(channels, groups, "groups do not divide the channels")
        self.groups, self.side = groups, require_odd(kernel)
        narrow = divide_exactly(channels, reduction, "the reduction does not divide the channels")
        self.make = nn.Sequential(nn.Conv2d(channels, narrow, 1), nn.GELU(), nn.Conv2d(narrow, groups * kernel**2, 1))

    def kernels(self, x: Tensor) -> Tensor:
        """Return f(x), `[b, g, k*k, y, x]`: each position's weights over its neighborhood."""
        made: Tensor = rearrange(self.make(x), "b (g k) y x -> b g k y x", g=self.groups)
        return made

    def forward(self, x: Tensor) -> Tensor:
        y, x_ = x.shape[2:]
        around = functional.unfold(x, self.side, padding=self.side // 2)
        around = rearrange(around, "b (g c k) (y x) -> b g c k y x", g=self.groups, k=self.side**2, y=y, x=x_)
        mixed = (self.kernels(x)[:, :, None] * around).sum(dim=3)
        return rearrange(mixed, "b g c y x -> b (g c) y x")
