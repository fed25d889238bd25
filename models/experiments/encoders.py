"""Small encoders that experiments compare: images of 48 px as 6 x 6 patches, two layers, two heads."""

from typing import Any, Final

from models.encoders.feature_map_encoders import ConvConfig, DynamicConvConfig, NonLocalConfig
from models.encoders.vit import VitConfig
from models.experiments import task

CELL_PX: Final = 8
WIDTH: Final = 68
LAYERS: Final = 2
HEADS: Final = 2
WIDTHS: Final = range(16, 129)
"""Widths searched for equal parameters; two heads divide every second of them."""

_COMMON: Final[dict[str, Any]] = {
    "image_px": task.IMAGE_PX,
    "embedding_width": len(task.CLASSES),
    "layers": LAYERS,
}


def vit(width: int = WIDTH, **fields: Any) -> VitConfig:
    return VitConfig(**_COMMON, patch_px=CELL_PX, width=width, heads=HEADS, **fields)


def nonlocal_(width: int = WIDTH) -> NonLocalConfig:
    return NonLocalConfig(**_COMMON, cell_px=CELL_PX, width=width, heads=HEADS)


def conv(width: int, kernel: int) -> ConvConfig:
    return ConvConfig(**_COMMON, cell_px=CELL_PX, width=width, kernel=kernel)


def dynamic_conv(width: int, kernel: int) -> DynamicConvConfig:
    """Return the config of a dynamic convolution; `width` is a multiple of 8."""
    return DynamicConvConfig(**_COMMON, cell_px=CELL_PX, width=width, groups=8, kernel=kernel)
