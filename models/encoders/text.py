"""Native text transformer over packed ids, by default of BERT-base's size.

Source: Devlin et al., "BERT" (2019), section 3, with the norm before each sublayer (Xiong et al., 2020).
Letters: b items, t tokens of all items, s longest item, h heads, e width.
"""

from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from typing_extensions import override

from models.artifact.specs import Name, Pooling
from models.encoders.config_types import Count, Size
from models.layers.block import Block
from models.layers.position_embedding import INITIAL_STD, Position, RelativeBias, position_embedding, sinusoidal
from models.layers.projection import Projection
from models.layers.self_attention import ScoreKind
from models.packed import PackedAttentionRecorder, PackedEncoder, PackedLayout
from models.pooling import pool


class TextConfig(BaseModel):
    """Config of a text transformer. The embedding is the pooled last hidden state, `width` wide."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["text"] = "text"
    vocabulary_size: Annotated[int, Field(gt=0, le=10_000_000)] = 30_522
    max_tokens: Size = 512
    width: Size = 768
    layers: Count = 12
    heads: Count = 12
    position: Position = "learned"
    projection: Projection = "separate"
    score: ScoreKind = "dot"
    pooling: Pooling = "mean"
    space: Name | None = None


class TextTransformer(PackedEncoder):
    """Token embeddings through pre-norm blocks; each token attends only to tokens of its own item."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.pooling = config.pooling
        self.embedding_dim = config.width
        self.embed = nn.Embedding(config.vocabulary_size, config.width)
        nn.init.normal_(self.embed.weight, std=INITIAL_STD)  # as the codes: neither drowns the other
        self.code = position_embedding(config.position, sinusoidal(torch.arange(config.max_tokens), config.width))
        self.relative = RelativeBias(config.heads, 1, config.max_tokens) if config.position == "relative" else None
        self.norm_embedded = nn.LayerNorm(config.width)
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, projection=config.projection, score=config.score)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)

    @override
    def forward(self, input_ids: Tensor, position_ids: Tensor, layout: PackedLayout) -> Tensor:
        hidden = layout.token_embeddings = self.hidden(input_ids, position_ids, layout)
        return pool(layout.unpack(hidden), layout.token_mask(), self.pooling)

    def hidden(self, input_ids: Tensor, position_ids: Tensor, layout: PackedLayout) -> Tensor:
        """Encode input_ids, position_ids `[t]` -> the last hidden state `[t, e]`. Fills `layout.weights`."""
        x = self.embed(input_ids)
        if self.code is not None:
            x = self.code(x, position_ids)
        x = self.norm_embedded(x)[None]
        recorder = PackedAttentionRecorder(layout=layout)
        bias = self._bias(layout)
        for block in self.blocks:
            x = block(x, recorder, bias)
        last: Tensor = self.norm(x)[0]
        return last

    def _bias(self, layout: PackedLayout) -> Tensor | None:
        """Return `[1, h, s, s]`: the bias by the distance of two columns, which is that of their tokens in every
        item."""
        s = layout.unpack_index.shape[1]
        return None if self.relative is None else self.relative.truncate(s)[None]
