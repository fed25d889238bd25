"""Multi-head attention over sequences: self-attention and cross-attention.

Letters: b items, s query positions, k key positions, e width, h heads, d width of one head.
Source: Vaswani et al., "Attention Is All You Need" (2017), section 3.2.2.
"""

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from models.attention import AttentionRecorder
from models.layers.errors import divide_exactly
from models.layers.projection import Projection, QueryKeyValue, SequenceProjection

ScoreKind = Literal["dot", "cosine"]

INITIAL_SCALE, MAX_SCALE = 10.0, 100.0
"""Scale of the cosine score before training, and its limit: cosines lie in -1 to 1, where a softmax is nearly flat."""


class AttentionScore(nn.Module):
    """Similarity of queries and keys, and attention by it: scaled dot product, or cosine times a learned scale per
    head.

    The cosine is that of Liu et al., "Swin Transformer V2" (2022), section 3.3. q, k `[b, h, s, d]` go through the
    primitive, which divides by sqrt(d); a cosine undoes that.
    """

    def __init__(self, heads: int, score: ScoreKind) -> None:
        super().__init__()
        self.heads = heads
        self.log_scale = nn.Parameter(torch.full((heads, 1, 1), INITIAL_SCALE).log()) if score == "cosine" else None

    def forward(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        if self.log_scale is None:
            return q, k
        scale = self.log_scale.exp().clamp(max=MAX_SCALE) * q.shape[-1] ** 0.5
        return functional.normalize(q, dim=-1) * scale, functional.normalize(k, dim=-1)

    def attend(self, projections: QueryKeyValue, recorder: AttentionRecorder, bias: Tensor | None) -> Tensor:
        """Attend with q `[b, s, h*d]` over k and v `[b, k, h*d]`, by heads: `[b, s, h*d]`. The recorder records it."""
        q, k, v = (rearrange(part, "b s (h d) -> b h s d", h=self.heads) for part in projections)
        q, k = self(q, k)
        return rearrange(recorder.attend(q, k, v, bias), "b h s d -> b s (h d)")


class SelfAttention(nn.Module):
    """Self-attention `[b, s, e]` -> `[b, s, e]` over each sequence."""

    def __init__(
        self, width: int, heads: int, *, projection: Projection = "separate", score: ScoreKind = "dot"
    ) -> None:
        super().__init__()
        divide_exactly(width, heads, "heads do not divide the width")
        self.project = SequenceProjection(width, projection)
        self.scoring = AttentionScore(heads, score)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, recorder: AttentionRecorder, bias: Tensor | None = None) -> Tensor:
        """Attend within x; `bias` is broadcastable to `[b, h, s, s]`."""
        out: Tensor = self.out(self.scoring.attend(self.project(x), recorder, bias))
        return out


class CrossAttention(nn.Module):
    """Attention with queries from one sequence, keys and values from another: `[b, s, e]`, `[b, k, e]` -> `[b, s,
    e]`."""

    def __init__(self, width: int, heads: int, *, score: ScoreKind = "dot") -> None:
        super().__init__()
        divide_exactly(width, heads, "heads do not divide the width")
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.scoring = AttentionScore(heads, score)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, other: Tensor, recorder: AttentionRecorder, bias: Tensor | None = None) -> Tensor:
        """Attend from one sequence to the other; `bias` is broadcastable to `[b, h, s, k]`."""
        k, v = self.key_value(other).chunk(2, dim=-1)
        out: Tensor = self.out(self.scoring.attend((self.query(x), k, v), recorder, bias))
        return out
