"""Image preprocessing of a Hugging Face directory.

The service does the same on bytes and the graph the rest, to within 1 of 255 of transformers' own processor; what
could not be done alike is refused. Without do_convert_rgb too transformers makes RGB of a file; with it, one color
that stands for transparent becomes white. do_reduce_labels is about labels and changes no image.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from export.errors import SourceError
from export.image_processor_config import Channels, ProcessorConfig, read_processor_config
from models.artifact.specs import ImageSpec, Interpolation, Transparency

_RESAMPLE: Final[tuple[Interpolation, ...]] = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""Pillow's filters by their numbers, which is how `resample` names them."""


@dataclass(frozen=True, slots=True)
class ImageProcessor:
    """Preprocessing of an image model: the host scales and crops (see ImageSpec); the graph computes (pixels *
    rescale_factor - mean) / std.

    `mean` and `std` are by channel, red first.
    """

    height_px: int
    width_px: int
    resize_px: tuple[int, int] | int
    interpolation: Interpolation
    transparency: Transparency
    mean: Channels
    std: Channels
    rescale_factor: float

    def image_spec(self, *, grid: tuple[int, int], num_prefix_tokens: int) -> ImageSpec:
        """Return the preprocessing that the host does."""
        return ImageSpec(
            height_px=self.height_px,
            width_px=self.width_px,
            resize_px=self.resize_px,
            interpolation=self.interpolation,
            transparency=self.transparency,
            grid=grid,
            num_prefix_tokens=num_prefix_tokens,
        )


def read_image_processor(directory: Path) -> ImageProcessor:
    """Read `directory`'s processor. Raises SourceError if its file is missing, malformed or not reproducible."""
    path, processor_class, config = read_processor_config(directory)
    unsupported = _unsupported_reason(processor_class, config)
    if unsupported:
        raise SourceError(f"{path}: {unsupported}")
    rows, columns = config.crop_size if config.do_center_crop else config.size
    return ImageProcessor(
        height_px=rows,
        width_px=columns,
        resize_px=config.size[0] if len(config.size) == 1 else (config.size[0], config.size[1]),
        interpolation=_RESAMPLE[config.resample],
        transparency="color_key" if config.do_convert_rgb else "dropped",
        mean=config.image_mean,
        std=config.image_std,
        rescale_factor=config.rescale_factor,
    )


def _unsupported_reason(processor_class: str, config: ProcessorConfig) -> str | None:
    """Return why this cannot be exported, and what could be; None if it can."""
    if not config.do_resize:
        return "do_resize is false, but a graph takes images of one size; set it to true, with a size"
    if config.do_pad or config.use_square_size:
        return "do_pad and use_square_size are not supported; set them to false"
    if processor_class == "DINOv3ViT" and _RESAMPLE[config.resample] != "bilinear":
        # It scales in float, so that what overshoots is not cut off as it is in bytes.
        return f"DINOv3 with {_RESAMPLE[config.resample]} cannot be reproduced on 8-bit pixels; use resample 2"
    if not config.do_center_crop:
        return None if len(config.size) == 2 else "size keeps proportions, which requires do_center_crop"
    if len(config.crop_size) != 2:
        return "crop_size needs height and width"
    rows, columns = config.crop_size
    if rows > config.size[0] or columns > config.size[-1]:
        return f"crop_size {rows} x {columns} is larger than size, and padding is not supported; use a smaller one"
    return None
