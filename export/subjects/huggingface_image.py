"""The image encoder of a Hugging Face directory: its watched form is traced, its own eager attention judges."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from export.options import Options
from export.processor import read as read_processor
from export.subjects.image import ImageFacts, ImageSubject
from export.subjects.original import Answer, Original
from models.attention import Observer
from models.picture import Channels, PictureEncoder
from models.pretrained.originals import Original as Its
from models.pretrained.originals import original
from models.pretrained.vision import open_vision, recognise


def open_image(directory: Path, config: Any, options: Options) -> ImageSubject:
    """Raises PretrainedError, SourceError."""
    processor = read_processor(directory)
    brightest = 255 * processor.rescale_factor
    middle, spread = _over(processor.mean, brightest), _over(processor.std, brightest)
    size_px = processor.rows_px, processor.columns_px
    opened = recognise(directory, config, middle=middle, spread=spread, pooling=options.pooling, size_px=size_px)
    encoder = open_vision(opened)
    facts = ImageFacts(
        architecture=config.model_type,
        image=processor.image(grid=encoder.grid, prefix=encoder.prefix),
        normalize=options.normalize is not False,
        space=options.space,
    )
    return ImageSubject(facts, encoder, lambda: _answering(original(opened), encoder))


def _over(channels: Channels, brightest: float) -> Channels:
    """Of pixels in 0 to `brightest`, as the processor makes them, to pixels in 0 to 1."""
    red, green, blue = (value / brightest for value in channels)
    return red, green, blue


def _answering(answer: Callable[[Tensor], Its], encoder: PictureEncoder) -> Original:
    """Where no probe pools, what each position has of the vector is known beforehand."""

    def run(pixels: Tensor) -> Answer:
        seen = answer(pixels)
        shares = encoder.shares(Observer()).double() if seen.shares is None else seen.shares
        return Answer(seen.vector, seen.positions, seen.weights, shares)

    return run
