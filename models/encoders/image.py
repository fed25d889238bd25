"""What every image encoder of ours is to training, export and experiments.

Letters: b items, c channels, y, x rows and columns of the picture in px, s positions, h heads, e embedding width.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from models.attention import Observer
from models.contract.manifest import Name, Pooling
from models.encoders.sizes import Size

MIDDLE = 0.5
SPREAD = 0.25
"""Mean and standard deviation that pixels in 0 to 1 are brought from: -2 to 2."""


class ImageConfig(BaseModel):
    """What all image encoders have: square pictures of `image_px`, vectors of `embedding_width`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    image_px: Size = 128
    embedding_width: Size = Field(384, description="Width of the vector; 384 is the default text model's.")
    space: Name | None = Field(None, description="The model whose vectors these can be compared with.")


class ImageEncoder(nn.Module, ABC):
    """Pixels to one vector, with attention that can be watched.

    `grid` is rows and columns of the patches or cells that attention is told on; `prefix` counts positions before
    them that are no patches (CLS).
    """

    config: ImageConfig
    pooling: Pooling
    grid: tuple[int, int]
    prefix: int = 0

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, pixels: Tensor, observer: Observer | None = None) -> Tensor:
        """pixels `[b, y, x, 3]` sRGB, 0 to 255, of any dtype -> `[b, e]`, not normalised.

        Raises ValueError for pictures of another size than the config's.
        """
        side_px = self.config.image_px
        if pixels.shape[1:] != (side_px, side_px, 3):
            raise ValueError(f"pictures are {side_px} x {side_px} x 3 to this encoder, not {tuple(pixels.shape[1:])}")
        images = (pixels.to(self.dtype) / 255 - MIDDLE) / SPREAD
        return self.encode(images.permute(0, 3, 1, 2), observer or Observer())

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @abstractmethod
    def encode(self, images: Tensor, observer: Observer) -> Tensor:
        """images `[b, 3, y, x]`, about -2 to 2 -> `[b, e]`."""

    def pool(self, rows: Tensor) -> Tensor:
        """Rows `[b, s, k]` -> `[b, k]`, as the encoder pools its positions; every picture has all of them."""
        return rows[:, 0] if self.pooling == "cls" else rows.mean(dim=1)

    def on_grid(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """The watched layers' weights over the same positions: `prefix`, then `grid` row by row, `[b, h, s, s]`."""
        return list(weights)
