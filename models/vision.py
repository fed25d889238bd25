"""Interface between image encoders of any origin and the export: pixels of one size in, an embedding out.

Letters: b items, y, x rows and columns of the image in px, s positions, h heads, e embedding width.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.artifact.specs import Pooling, TokenEmbeddingKind
from models.attention import AttentionRecorder
from models.pooling import pooling_weights

Channels = tuple[float, float, float]


class VisionEncoder(nn.Module, ABC):
    """Image encoder: pixels to one vector of `embedding_dim` values, with attention that can be recorded.

    `grid` is rows and columns of the patches or cells that attention is reported on; `num_prefix_tokens` counts the
    positions before them (CLS, registers). The `pooling` "mean" is the mean over the cells. `embedding_kind` is the
    kind of the token embeddings that a recorder gets.
    """

    height_px: int
    width_px: int
    embedding_dim: int
    pooling: Pooling
    grid: tuple[int, int]
    num_prefix_tokens: int = 0
    embedding_kind: TokenEmbeddingKind = "pooled"

    def __init__(self, *, image_mean: Channels, image_std: Channels) -> None:
        """`image_mean` and `image_std`: what pixels, in 0 to 1, are brought from to mean 0 and deviation 1."""
        super().__init__()
        self.register_buffer("middle", torch.tensor(image_mean), persistent=False)
        self.register_buffer("spread", torch.tensor(image_std), persistent=False)

    def forward(self, pixels: Tensor, recorder: AttentionRecorder | None = None) -> Tensor:
        """Encode pixels `[b, y, x, 3]` sRGB, 0 to 255, of any dtype -> `[b, e]`, not normalized.

        Raises ValueError for images of another size than the encoder's.
        """
        size = (self.height_px, self.width_px, 3)
        if pixels.shape[1:] != size:
            raise ValueError(f"this encoder takes images of shape {size}, got {tuple(pixels.shape[1:])}")
        images = (pixels.to(self.dtype) / 255 - self.get_buffer("middle")) / self.get_buffer("spread")
        return self.encode(images.permute(0, 3, 1, 2), recorder or AttentionRecorder())

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @abstractmethod
    def encode(self, images: Tensor, recorder: AttentionRecorder) -> Tensor:
        """Encode images `[b, 3, y, x]`, about -2 to 2 -> `[b, e]`. Sets a recorder's token embeddings if requested."""

    def pooling_weights(self, recorder: AttentionRecorder) -> Tensor:
        """Return `[b or 1, s]`: each position's weight in the embedding that `recorder` recorded, summing to 1."""
        if recorder.pooling_weights is not None:
            return recorder.pooling_weights
        return image_pooling_weights(
            self.pooling, self.grid, self.num_prefix_tokens, torch.promote_types(self.dtype, torch.float32)
        )

    def on_grid(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """Return the recorded layers' weights over the same positions: `num_prefix_tokens`, then `grid` row by row,
        `[b, h, s, s]`."""
        return list(weights)


def image_pooling_weights(
    pooling: Pooling, grid: tuple[int, int], num_prefix_tokens: int, dtype: torch.dtype
) -> Tensor:
    """Return `[1, s]`: the weight of each of `num_prefix_tokens` positions and of the cells of `grid` in the embedding,
    if pooled by rule."""
    positions = torch.arange(num_prefix_tokens + grid[0] * grid[1])[None]
    return pooling_weights(positions >= (0 if pooling == "cls" else num_prefix_tokens), pooling, dtype)
