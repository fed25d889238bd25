"""Pre-norm transformer block.

Source: Xiong et al., "On Layer Normalization in the Transformer Architecture" (2020).
Letters: b items, s positions, e width.
"""

from torch import Tensor, nn

from models.attention import AttentionRecorder
from models.layers.feed_forward import FeedForward
from models.layers.projection import Projection
from models.layers.self_attention import ScoreKind, SelfAttention


class Block(nn.Module):
    """Attention, then a feed-forward layer, each behind a LayerNorm with a residual connection: `[b, s, e]` -> `[b, s,
    e]`."""

    def __init__(
        self, width: int, heads: int, *, projection: Projection = "separate", score: ScoreKind = "dot"
    ) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, projection=projection, score=score)
        self.norm_feed_forward = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width)

    def forward(self, x: Tensor, recorder: AttentionRecorder, bias: Tensor | None = None) -> Tensor:
        x = x + self.attention(self.norm_attention(x), recorder, bias)
        out: Tensor = x + self.feed_forward(self.norm_feed_forward(x))
        return out
