"""Loading of third-party image encoders from a local Hugging Face directory.

Images are of the size that the checkpoint was made for, unless its own code takes others: DINOv2 was trained at
518 px and is mostly given 224. Its positions are then interpolated once, here, as its own code would do for each batch.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, CLIPConfig, PreTrainedModel, SiglipConfig

from models.artifact.specs import Pooling, Task
from models.pretrained import swin_windows
from models.pretrained.architectures import ARCHITECTURES, VisionArchitecture, find_architecture
from models.pretrained.attention_interface import IMPLEMENTATION_NAME
from models.pretrained.errors import PretrainedError
from models.pretrained.heads import HEAD_CLASSES, TrainedHead
from models.pretrained.loading import load_model
from models.pretrained.vision_encoder import PretrainedVisionEncoder, VisionPlan
from models.vision import Channels


@dataclass(frozen=True)
class VisionSource:
    """Recognized directory whose weights are not read yet. `config` is that of the image tower.

    `image_mean` and `image_std` are mean and deviation of its images (`VisionEncoder`). `task` says which head follows.
    """

    directory: Path
    architecture: VisionArchitecture
    config: Any
    plan: VisionPlan
    image_mean: Channels
    image_std: Channels
    task: Task = "embed"

    def load(self, attention: str) -> PreTrainedModel:
        """Load the weights; `encoder_of` is the encoder of what is returned."""
        if self.task != "embed":
            head_class = HEAD_CLASSES["image", self.task]
            return load_model(head_class, self.directory, attention=attention, config=self.config)
        options = self.architecture.options
        return load_model(
            self.architecture.model_class, self.directory, attention=attention, config=self.config, **options
        )

    def encoder_of(self, model: PreTrainedModel) -> Any:
        """Return the encoder within a loaded model, which is its own or has a head behind it."""
        return model if self.task == "embed" else model.base_model


def resolve(
    directory: Path,
    config: Any,
    *,
    image_mean: Channels,
    image_std: Channels,
    pooling: Pooling | None = None,
    size_px: tuple[int, int] | None = None,
    task: Task = "embed",
) -> VisionSource:
    """Find the architecture in `directory` by its config, and how to run it and report its attention.

    `pooling` overrides the pooling of the original; `size_px` (rows, columns) overrides the image size of the config.
    Raises PretrainedError.
    """
    architecture = find_architecture(config)
    if architecture is None:
        known = ", ".join(name for name, each in ARCHITECTURES.items() if name.islower() and not each.refusal)
        raise PretrainedError(f"model_type {config.model_type!r} is not a supported image encoder; supported: {known}")
    if architecture.refusal:
        raise PretrainedError(f"the image tower of {config.model_type} in {directory} {architecture.refusal}")
    tower = _vision_config(config)
    own_px = _size_px(architecture, tower)
    if size_px not in (None, own_px) and not architecture.dynamic_size:
        raise PretrainedError(
            f"{config.model_type} takes images of {own_px} px, but its image processor produces {size_px}"
        )
    plan = _make_plan(architecture, tower, pooling, size_px or own_px)
    if task != "embed" and (architecture.model_class is not AutoModel or plan.pooling == "attention"):
        raise PretrainedError(f"the head of {directory}, a {config.model_type}, cannot be exported; its encoder can")
    return VisionSource(directory, architecture, tower, plan, image_mean, image_std, task)


def load_vision(source: VisionSource) -> PretrainedVisionEncoder:
    """Load the image encoder with its weights. Raises PretrainedError."""
    loaded = source.load(IMPLEMENTATION_NAME)
    model = source.encoder_of(loaded)
    if source.architecture.dynamic_size:
        _interpolate_positions(model, source.plan)
    head = None if source.task == "embed" else TrainedHead(loaded)
    return PretrainedVisionEncoder(
        model, source.plan, image_mean=source.image_mean, image_std=source.image_std, head=head
    )


def _interpolate_positions(model: Any, plan: VisionPlan) -> None:
    """Interpolate a table of position embeddings to the plan's image size; rotary positions need none."""
    embeddings = model.embeddings
    if "position_embeddings" not in dict(embeddings.named_parameters(recurse=False)):
        return
    if plan.height_px != plan.width_px:
        raise PretrainedError(f"pictures of {plan.height_px} x {plan.width_px} px: this model takes square images only")
    positions = torch.zeros(1, 1 + plan.grid[0] * plan.grid[1], model.config.hidden_size)
    with torch.no_grad():
        table = embeddings.interpolate_pos_encoding(positions, plan.height_px, plan.width_px)
    embeddings.position_embeddings = nn.Parameter(table.clone())


def _vision_config(config: Any) -> Any:
    """Return the image tower's config, also from that of a pair of towers."""
    if not isinstance(config, (CLIPConfig, SiglipConfig)):
        return config
    if isinstance(config, CLIPConfig):
        config.vision_config.projection_dim = config.projection_dim
    return config.vision_config


def _make_plan(
    architecture: VisionArchitecture, config: Any, pooling: Pooling | None, size_px: tuple[int, int]
) -> VisionPlan:
    pools = architecture.pools(config)
    chosen = next(iter(pools)) if pooling is None else pooling
    if chosen not in pools:
        raise PretrainedError(f"this {config.model_type} can be pooled by {' or '.join(pools)}, not by {chosen}")
    grid = _grid(architecture, config, size_px)
    windowed = swin_windows.windowed_layers(config, grid) if architecture.windowed else []
    return VisionPlan(
        height_px=size_px[0],
        width_px=size_px[1],
        embedding_dim=getattr(config, architecture.dim_entry),
        grid=windowed[-1].grid if windowed else grid,
        num_prefix_tokens=architecture.num_cls_tokens + (config.num_register_tokens if architecture.registers else 0),
        pooling=chosen,
        pool=pools[chosen],
        scatters=swin_windows.scatter_windows(windowed) if windowed else None,
    )


def _size_px(architecture: VisionArchitecture, config: Any) -> tuple[int, int]:
    if config.num_channels != 3:
        raise PretrainedError(f"{config.model_type} of {config.num_channels} channels: images must have 3")
    rows, columns = _height_and_width(config.image_size, "image_size")
    if rows != columns and not architecture.non_square:
        raise PretrainedError(f"{config.model_type} of {rows} x {columns} px: transformers takes square ones only")
    return rows, columns


def _grid(architecture: VisionArchitecture, config: Any, size_px: tuple[int, int]) -> tuple[int, int]:
    """Return the grid of patches. Pixels left over at the right and the bottom are ignored, or padded by Swin."""
    sizes = zip(size_px, _height_and_width(config.patch_size, "patch_size"), strict=True)
    (rows, more_rows), (columns, more_columns) = (divmod(px, patch_px) for px, patch_px in sizes)
    if not rows or not columns or (architecture.windowed and (more_rows or more_columns)):
        raise PretrainedError(
            f"patches of {config.patch_size} px do not divide images of {size_px[0]} x {size_px[1]} px"
        )
    return rows, columns


def _height_and_width(size: Any, name: str) -> tuple[int, int]:
    rows, columns = size if isinstance(size, (list, tuple)) and len(size) == 2 else (size, size)
    if not isinstance(rows, int) or not isinstance(columns, int):
        raise PretrainedError(f"{name} is not a length or two: {size}")
    return rows, columns
