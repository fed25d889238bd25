"""Recording of what attention layers compute.

Letters: b items, h heads, s positions, d width of one head.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from typing_extensions import override

from models.attention import AttentionRecorder
from models.encoders.image import ImageEncoder


@dataclass
class ScoreRecorder(AttentionRecorder):
    """Records each layer's scores `[b, h, s, s]` before the softmax, in addition to its weights."""

    scores: list[Tensor] = field(default_factory=list)

    @override
    def compute(
        self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, scale: float | None
    ) -> tuple[Tensor, Tensor | None]:
        scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
        self.scores.append(scores if bias is None else scores + bias)
        return super().compute(q, k, v, bias, scale)


@torch.no_grad()
def record_scores(encoder: ImageEncoder, pixels: Tensor) -> ScoreRecorder:
    """Encode pixels `[b, y, x, 3]` once, and record the scores."""
    recorder = ScoreRecorder(record=True)
    encoder(pixels, recorder)
    return recorder


def own_weight(weights: Tensor) -> float:
    """Return the mean weight of a position on itself, over `[b, h, s, s]`."""
    return weights.diagonal(dim1=-2, dim2=-1).mean().item()


def normalized_entropy(weights: Tensor) -> Tensor:
    """Return the entropy of each row of `[..., s, k]` over log k: 1 is even, 0 is all on one."""
    max_entropy = torch.log(torch.tensor(float(weights.shape[-1])))
    summed: Tensor = torch.special.entr(weights).sum(dim=-1)
    return summed / max_entropy
