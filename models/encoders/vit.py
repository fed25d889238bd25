"""Vision Transformer: an image as a sequence of patches.

Source: Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021), section 3.1.
Letters: b items, y, x rows and columns of patches, s = 1 + y*x positions (CLS first), h heads, e width.
"""

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from models.attention import AttentionRecorder
from models.encoders.config_types import Count, Size
from models.encoders.image import ImageConfig, ImageEncoder
from models.layers.block import Block
from models.layers.errors import divide_exactly
from models.layers.position_embedding import INITIAL_STD, Position, RelativeBias, position_embedding, sinusoidal_grid
from models.layers.projection import Projection
from models.layers.self_attention import ScoreKind


class VitConfig(ImageConfig):
    """Config of a ViT, by default that of `scenes-vit`: 128 px in 16 px patches, 64 of them."""

    kind: Literal["vit"] = "vit"
    patch_px: Size = 16
    width: Size = 192
    layers: Count = 6
    heads: Count = 3
    position: Position = "learned"
    projection: Projection = "separate"
    score: ScoreKind = "dot"


class VisionTransformer(ImageEncoder):
    """CLS and patches through pre-norm blocks; the embedding is a linear map of the last CLS."""

    pooling = "cls"
    num_prefix_tokens = 1

    def __init__(self, config: VitConfig) -> None:
        super().__init__(config)
        side = divide_exactly(config.image_px, config.patch_px, "patch_px does not divide image_px")
        self.grid = (side, side)
        self.patches = nn.Conv2d(3, config.width, config.patch_px, stride=config.patch_px)
        self.cls = nn.Parameter(torch.randn(config.width) * INITIAL_STD)
        self.code = position_embedding(config.position, sinusoidal_grid(side, side, config.width))
        self.relative = RelativeBias(config.heads, side, side) if config.position == "relative" else None
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, projection=config.projection, score=config.score)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.embedding_width)

    @override
    def encode(self, images: Tensor, recorder: AttentionRecorder) -> Tensor:
        x = rearrange(self.patches(images), "b e y x -> b (y x) e")
        if self.code is not None:
            x = self.code(x)
        x = torch.cat([self.cls.expand(x.shape[0], 1, -1), x], dim=1)
        # CLS stands nowhere: no bias to or from it.
        bias = None if self.relative is None else functional.pad(self.relative(), (1, 0, 1, 0))[None]
        for block in self.blocks:
            x = block(x, recorder, bias)
        if recorder.record:
            recorder.token_embeddings = self.head(self.norm(x))
        vector: Tensor = self.head(self.norm(x[:, 0]))
        return vector
