"""MPNet, whose attention layers are replaced, weights kept: it uses no attention function of `transformers`.

Its position bias is by the distance of two tokens, for all layers one. Its own code makes it over the sequence that it
is given, which packed is all items in a row; ours is over the longest item.

Letters: b items, t tokens of all items, s longest item, h heads, d width of one head, e width.
Source: Song et al., "MPNet" (2020); the buckets of distances are T5's (Raffel et al., 2020).
"""

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from models.packed import PackedLayout
from models.pretrained.attention_interface import AttentionCall, dispatch_attention


class MPNetSelfAttention(nn.Module):
    """[b, s, e] -> [b, s, e] by the four linear maps of MPNet's own layer."""

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (original.get_submodule(name) for name in "qkvo")
        self.heads: int = original.num_attention_heads  # type: ignore[assignment]

    def forward(self, hidden_states: Tensor, *_args: Any, **_kwargs: Any) -> tuple[Tensor]:
        b, s, _ = hidden_states.shape
        q, k, v = (part(hidden_states).view(b, s, self.heads, -1).transpose(1, 2) for part in (self.q, self.k, self.v))
        mixed = dispatch_attention(AttentionCall(q, k, v, None, q.shape[-1] ** -0.5, None))
        return (self.o(mixed.transpose(1, 2).reshape(b, s, -1)),)


def replace_attention(model: PreTrainedModel) -> None:
    """Replace the attention layers of an MPNetModel, and keep it from making its bias."""
    for layer in model.encoder.layer:
        layer.attention.attn = MPNetSelfAttention(layer.attention.attn)
    model.encoder.own_position_bias = model.encoder.compute_position_bias
    model.encoder.compute_position_bias = lambda _hidden: None


def relative_bias(model: PreTrainedModel, layout: PackedLayout) -> Tensor:
    """Return the relative position bias `[1, h, s, s]`."""
    bias: Tensor = model.encoder.own_position_bias(layout.unpack_index[:1])
    return bias
