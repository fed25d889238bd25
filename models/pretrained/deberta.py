"""DeBERTa-v2 and v3, whose attention layers are replaced: they use no attention function of `transformers`.

Disentangled attention adds to the score of a query and a key what the query says to their distance (content to
position, "c2p") and what the key says to it (position to content, "p2c"). Distances share embeddings in buckets that
grow with the distance. The embeddings are constant, and so are their projections: made here, once.

Their own code picks each term's column by an index as large as the scores. Ours orders the columns by distance, so
that row i needs those of row i - 1 moved by one: a reshape.

Letters: b items, h heads, s longest item, d width of one head, e = h*d, p the encoder's positions, n distances.
Sources: He et al., "DeBERTa" (2021), section 3.1; He et al., "DeBERTaV3" (2023).
"""

import copy
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.deberta_v2.modeling_deberta_v2 import build_relative_position

from models.pretrained.attention_interface import AttentionCall, dispatch_attention
from models.pretrained.packed_modules import ItemConvolution

TERMS = ("c2p", "p2c")


class DistanceBias(nn.Module):
    """`models.packed.RelativeBiasFunction` of one layer.

    Its tables `[h, n, d]` are the projected embeddings of each bucket.
    """

    def __init__(self, original: Any, embeddings: Tensor, buckets: Tensor) -> None:
        super().__init__()
        self.buckets = nn.Buffer(buckets, persistent=False)
        prefix = "" if original.share_att_key else "pos_"
        maps = {"c2p": f"{prefix}key_proj", "p2c": f"{prefix}query_proj"}
        self.tables = nn.ParameterDict()
        for term in original.pos_att_type:
            table = _float64_copy(original.get_submodule(maps[term]))(embeddings).float()
            self.tables[term] = nn.Parameter(rearrange(table, "n (h d) -> h n d", h=original.num_attention_heads))

    def forward(self, q: Tensor, k: Tensor, scale: float) -> Tensor:
        """q, k `[b, h, s, d]` -> `[b, h, s, s]`"""
        terms = []
        if "c2p" in self.tables:
            terms.append(_scores_by_distance(q, self.tables["c2p"], self.buckets[0], scale))
        if "p2c" in self.tables:
            terms.append(_scores_by_distance(k, self.tables["p2c"], self.buckets[1], scale).transpose(-1, -2))
        return terms[0] if len(terms) == 1 else terms[0] + terms[1]


class DebertaSelfAttention(nn.Module):
    """[1, s, e] -> [1, s, e] by the linear maps of DeBERTa's own layer."""

    def __init__(self, original: Any, bias: DistanceBias | None) -> None:
        super().__init__()
        self.query, self.key, self.value = original.query_proj, original.key_proj, original.value_proj
        self.heads: int = original.num_attention_heads
        self.bias = bias
        terms = 1 + sum(term in original.pos_att_type for term in TERMS)
        # In float32, as their own code takes the root.
        self.scale = 1 / torch.tensor(float(original.attention_head_size * terms)).sqrt().item()

    def forward(self, hidden_states: Tensor, *_args: Any, **_kwargs: Any) -> tuple[Tensor, None]:
        q, k, v = (
            rearrange(part(hidden_states), "b s (h d) -> b h s d", h=self.heads)
            for part in (self.query, self.key, self.value)
        )
        mixed = dispatch_attention(AttentionCall(q, k, v, None, self.scale, None, self.bias))
        return rearrange(mixed, "b h s d -> b s (h d)"), None


@torch.no_grad()
def replace_attention(model: PreTrainedModel) -> None:
    """Replace the attention layers of a DebertaV2Model, and what it makes over the whole sequence for them."""
    encoder: Any = model.encoder
    embeddings = encoder.rel_embeddings.weight.double() if encoder.relative_attention else None
    if embeddings is not None and "layer_norm" in encoder.norm_rel_ebd:
        embeddings = _float64_copy(encoder.LayerNorm)(embeddings)
    for layer in encoder.layer:
        own = layer.attention.self
        bias = None
        if embeddings is not None and own.pos_att_type:
            bias = DistanceBias(own, embeddings[: 2 * own.pos_ebd_size], _buckets(own, model.config))
        layer.attention.self = DebertaSelfAttention(own, bias)
    encoder.get_rel_embedding = encoder.get_rel_pos = lambda *_args, **_kwargs: None
    encoder.get_attention_mask = lambda mask: mask
    if encoder.conv is not None:
        encoder.conv.conv = ItemConvolution(encoder.conv.conv)


def _float64_copy(module: nn.Module) -> nn.Module:
    """Return a copy in float64, so that what is computed once is rounded once."""
    return copy.deepcopy(module).double()


def _buckets(own: Any, config: Any) -> Tensor:
    """[2, 2p]: the rows of the tables by distance, from p - 1 down to -p and from 1 - p up to p.

    A logarithm decides between buckets, so they are not left to a runtime's: their own code makes them.
    """
    p = config.max_position_embeddings
    line = torch.empty(p + 1, 1)
    after, before = (
        build_relative_position(*pair, bucket_size=own.position_buckets, max_position=own.max_relative_positions)[0]
        for pair in ((line, line[:1]), (line[:1], line))
    )
    buckets = torch.cat([after[:, 0].flip(0)[1:], before[0, 1:]])  # of the distances p - 1 ... -p
    span: int = own.pos_ebd_size
    return (torch.stack([buckets, -buckets]) + span).clamp(0, 2 * span - 1)


def _scores_by_distance(x: Tensor, table: Tensor, buckets: Tensor, scale: float) -> Tensor:
    """[b, h, s, d] -> [b, h, s, s]: at (i, j) the scaled product of row i and the table's row for j - i.

    The product with the 2s distances nearest to zero has at (i, c) that of row i and the distance c - (s - 1); in one
    line, (i + 1, j) comes 2s - 1 cells after (i, j).
    """
    s = x.shape[2]
    nearest = torch.arange(2 * s, device=x.device) + (buckets.shape[0] // 2 - s)
    rows = table.index_select(1, buckets.index_select(0, nearest))
    rows = rows if scale == 1 else rows * scale  # the table itself, scaled, would be stored as a second one
    line = (x @ rows.transpose(-1, -2)).flatten(2)[:, :, s - 1 : s - 1 + s * (2 * s - 1)]
    return line.reshape(*line.shape[:2], s, 2 * s - 1)[:, :, :, :s]
