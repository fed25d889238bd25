"""The image encoder of a Hugging Face directory: its watched form is traced, its own eager attention judges."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from export import st_config
from export.errors import SourceError
from export.layout import MODULES_FILE, Layout
from export.options import Options
from export.processor import read as read_processor
from export.st_config import SentenceTransformersConfig
from export.subjects.image import ImageFacts, ImageSubject
from export.subjects.original import Answer, Original
from models.picture import Channels, pooled_shares
from models.pretrained.originals import Original as Its
from models.pretrained.originals import original
from models.pretrained.picture_encoder import Plan
from models.pretrained.vision import open_vision, recognise


def open_image(layout: Layout, config: Any, options: Options, notes: tuple[str, ...] = ()) -> ImageSubject:
    """Open the image encoder of a layout. Raises PretrainedError, SourceError."""
    directory, usage = layout.encoder, st_config.read(layout, modality="image", normalize=options.normalize)
    _check_stages(layout, usage)
    processor = read_processor(directory)
    brightest = 255 * processor.rescale_factor
    middle, spread = _over(processor.mean, brightest), _over(processor.std, brightest)
    size_px = processor.rows_px, processor.columns_px
    opened = recognise(directory, config, middle=middle, spread=spread, pooling=options.pooling, size_px=size_px)
    facts = ImageFacts(
        architecture=config.model_type,
        image=processor.image(grid=opened.plan.grid, prefix=opened.plan.prefix),
        normalize=usage.normalize,
        space=options.space,
        notes=(*notes, *usage.notes),
    )
    subject = ImageSubject(
        facts, lambda: open_vision(opened), lambda dtype: _answering(original(opened, dtype), opened.plan)
    )
    st_config.check_width(layout, usage.truncate_dim, subject.width)
    return subject


def _check_stages(layout: Layout, usage: SentenceTransformersConfig) -> None:
    """Raise SourceError for stages that are exported for texts only."""
    if usage.pooling is not None or usage.dense_folders:
        raise SourceError(
            f"{layout.root / MODULES_FILE} has a Pooling or Dense stage, which is exported for texts only"
        )


def _over(channels: Channels, brightest: float) -> Channels:
    """Of pixels in 0 to `brightest`, as the processor makes them, to pixels in 0 to 1."""
    red, green, blue = (value / brightest for value in channels)
    return red, green, blue


def _answering(answer: Callable[[Tensor], Its], plan: Plan) -> Original:
    """Where no probe pools, the pooling alone says what each position has of the vector."""

    def run(pixels: Tensor) -> Answer:
        seen = answer(pixels)
        shares = seen.shares
        if shares is None:
            shares = pooled_shares(plan.pooling, plan.grid, plan.prefix, seen.vector.dtype)
        return Answer(seen.vector, seen.positions, seen.weights, shares)

    return run
