"""Feed-forward half of a transformer block.

Source: Vaswani et al., "Attention Is All You Need" (2017), section 3.3; GELU: Hendrycks & Gimpel (2016).
"""

from torch import Tensor, nn


class FeedForward(nn.Module):
    """Feed-forward layer `[..., e]` -> `[..., e]` through four times as many units."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.widen = nn.Linear(width, 4 * width)
        self.activate = nn.GELU()
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        narrowed: Tensor = self.narrow(self.activate(self.widen(x)))
        return narrowed
