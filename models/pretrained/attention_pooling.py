"""SigLIP's attention pooling head with our attention: one learned query over all positions.

The head of `transformers` is an `nn.MultiheadAttention`, which asks nobody for its attention; its weights are taken
over here. Source: Zhai et al., "Sigmoid Loss for Language Image Pre-Training" (2023); the head is that of Zhai et al.,
"Scaling Vision Transformers" (2022), section 2.

Letters: b items, s positions, h heads, d width of one head, e = h*d.
"""

from typing import Any

from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional

from models.attention import AttentionRecorder


class AttentionPooling(nn.Module):
    """What `head`, a SiglipMultiheadAttentionPoolingHead, answers; it counts as no layer of the encoder."""

    def __init__(self, head: Any) -> None:
        super().__init__()
        self.probe = head.probe
        self.heads = head.attention.num_heads
        # One parameter each for q, k, v: with a joint one, every session would split it again.
        self.weights = nn.ParameterList(part.detach().clone() for part in head.attention.in_proj_weight.chunk(3))
        self.biases = nn.ParameterList(part.detach().clone() for part in head.attention.in_proj_bias.chunk(3))
        self.out = head.attention.out_proj
        self.norm, self.feed_forward = head.layernorm, head.mlp

    def forward(self, rows: Tensor, recorder: AttentionRecorder) -> Tensor:
        """Pool rows `[b, s, e]` -> `[b, e]`; `recorder.pooling_weights` is set to the mean over heads if weights are
        recorded."""
        probe = repeat(self.probe, "1 1 e -> b 1 e", b=rows.shape[0])
        q, k, v = (
            rearrange(functional.linear(x, weight, bias), "b s (h d) -> b h s d", h=self.heads)
            for x, weight, bias in zip((probe, rows, rows), self.weights, self.biases, strict=True)
        )
        mixed, weights = recorder.compute(q, k, v, None, None)
        if weights is not None:
            recorder.pooling_weights = weights.mean(dim=1)[:, 0]
        x = self.out(rearrange(mixed, "b h s d -> b s (h d)"))[:, 0]
        vector: Tensor = x + self.feed_forward(self.norm(x))
        return vector


def replace_pooling_head(model: Any) -> AttentionPooling:
    """Return the pooling head of a SiglipVisionModel, and remove it there."""
    pooling = AttentionPooling(model.head)
    model.use_head = False
    del model.head
    return pooling
