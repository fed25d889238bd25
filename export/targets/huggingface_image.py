"""Image target of a Hugging Face directory: the recording form is traced, its own eager attention is the reference."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from export import st_config
from export.errors import SourceError
from export.head import head_spec
from export.image_processor import read_image_processor as read_processor
from export.options import ExportOptions
from export.source_layout import MODULES_FILE, SourceLayout
from export.st_config import SentenceTransformersConfig
from export.targets.image import ImageModelInfo, ImageTarget
from export.targets.reference import ReferenceModel, ReferenceOutput
from models.artifact.specs import Task
from models.pretrained.reference import ImageReferenceOutput as PretrainedOutput
from models.pretrained.reference import reference_model
from models.pretrained.vision import load_vision, resolve
from models.pretrained.vision_encoder import VisionPlan
from models.vision import Channels, image_pooling_weights


def load_image_target(
    layout: SourceLayout, config: Any, options: ExportOptions, task: Task = "embed", notes: tuple[str, ...] = ()
) -> ImageTarget:
    """Open the image encoder of a layout, with the head of `task`. Raises PretrainedError, SourceError."""
    directory, st_options = (
        layout.encoder,
        st_config.read_st_config(layout, modality="image", normalize=options.normalize),
    )
    _check_stages(layout, st_options)
    processor = read_processor(directory)
    max_value = 255 * processor.rescale_factor
    image_mean, image_std = _rescale_channels(processor.mean, max_value), _rescale_channels(processor.std, max_value)
    size_px = processor.height_px, processor.width_px
    source = resolve(
        directory,
        config,
        image_mean=image_mean,
        image_std=image_std,
        pooling=options.pooling,
        size_px=size_px,
        task=task,
    )
    info = ImageModelInfo(
        architecture=config.model_type,
        task=task,
        head=None if task == "embed" else head_spec(layout, config, task),
        image=processor.image_spec(grid=source.plan.grid, num_prefix_tokens=source.plan.num_prefix_tokens),
        normalize=st_options.normalize,
        space=options.space,
        notes=(*notes, *st_options.notes),
    )
    subject = ImageTarget(
        info,
        lambda: load_vision(source),
        lambda dtype: _as_reference_model(reference_model(source, dtype), source.plan),
    )
    st_config.check_width(layout, st_options.truncate_dim, subject.width)
    return subject


def _check_stages(layout: SourceLayout, st_options: SentenceTransformersConfig) -> None:
    """Raise SourceError for stages that are exported for texts only."""
    if st_options.pooling is not None or st_options.dense_folders:
        raise SourceError(
            f"{layout.root / MODULES_FILE} has a Pooling or Dense stage, which is exported for texts only"
        )


def _rescale_channels(channels: Channels, max_value: float) -> Channels:
    """Of pixels in 0 to `max_value`, as the processor makes them, to pixels in 0 to 1."""
    red, green, blue = (value / max_value for value in channels)
    return red, green, blue


def _as_reference_model(model: Callable[[Tensor], PretrainedOutput], plan: VisionPlan) -> ReferenceModel:
    """Where no probe pools, the pooling alone says what each position has of the vector."""

    def run(pixels: Tensor) -> ReferenceOutput:
        output = model(pixels)
        pooling_weights = output.pooling_weights
        if pooling_weights is None:
            pooling_weights = image_pooling_weights(
                plan.pooling, plan.grid, plan.num_prefix_tokens, output.output.dtype
            )
        return ReferenceOutput(output.output, output.token_embeddings, output.weights, pooling_weights)

    return run
