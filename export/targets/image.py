"""Image target: images of one size.

Letters: b items, y, x rows and columns of the image in px, n positions, k heads that are asked for, e width.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from typing_extensions import override

from export.onnx_attention import OnnxAttentionRecorder
from export.targets.base import Axes, ExportTarget, GraphInputs, Item, ModelInfo
from export.targets.graph_outputs import CapturedAttention, graph_outputs, require_token_embeddings
from export.targets.reference import ReferenceModel, ReferenceOutput
from models.artifact import tensors
from models.artifact.specs import AttentionSpec, ImageSpec
from models.attention import AttentionRecorder
from models.synthetic_corpus import CorpusSplit
from models.vision import VisionEncoder

MAX_REFERENCE_BYTES = 2**30
"""Maximum attention that the original returns for one batch in float64."""

NUM_SCENES: dict[CorpusSplit, int] = {"calibration": 24, "gate": 200}
SCENE_PX = 256
SCENE_SEED = 11


@dataclass(frozen=True, kw_only=True)
class ImageModelInfo(ModelInfo):
    image: ImageSpec


class ImageTarget(ExportTarget[VisionEncoder]):
    """An image encoder, each image an item."""

    modality = "image"

    def __init__(
        self,
        info: ImageModelInfo,
        load: Callable[[], VisionEncoder],
        reference: Callable[[torch.dtype], ReferenceModel],
    ) -> None:
        super().__init__(info, load, reference)
        self.image = self._image = info.image
        output = recording_reference(self._encoder)(torch.from_numpy(np.stack(self.dummy_inputs())))
        heads = tuple(layer.shape[1] for layer in output.weights)
        self.attention = AttentionSpec(heads=heads) if heads else None
        self.axes: Axes = {tensors.PIXELS: ("b",)}
        if heads:
            self.axes[tensors.HEAD_INDICES] = ("k",)

    @property
    @override
    def fused_attentions(self) -> int:
        """Where a probe pools the positions, that is one more, though no layer of the encoder."""
        return super().fused_attentions + (self._pooling == "attention")

    @override
    def module(self) -> nn.Module:
        return _EmbeddingGraph(self._encoder) if self.attention is None else _AttentionGraph(self._encoder)

    @override
    def graph_inputs(self, items: Sequence[Item]) -> GraphInputs:
        return {tensors.PIXELS: np.stack(items)}

    @override
    def dummy_inputs(self) -> list[Item]:
        return self._random_images(np.random.default_rng(0), 3)

    @override
    def validation_batches(self, rng: np.random.Generator) -> Iterator[list[Item]]:
        """1 to 16 images, fewer where their attention is large."""
        matrices = self.attention.num_matrices if self.attention else 1
        max_images = max(1, MAX_REFERENCE_BYTES // (8 * matrices * self._image.num_tokens**2))
        for count in (1, 3, 7, 16):
            yield self._random_images(rng, min(count, max_images))

    @override
    def run_with(self, encoder: nn.Module, items: Sequence[Item]) -> Tensor:
        vectors: Tensor = encoder(torch.from_numpy(np.stack(items)))
        return vectors

    @override
    def corpus(self, split: CorpusSplit) -> list[Item]:
        """Generate scenes: images with objects in them."""
        from models.scenes.description import Split, draw_descriptions  # int8 alone needs them
        from models.scenes.rendering import render_scene

        scene_split: Split = "train" if split == "calibration" else "unseen"
        rng = np.random.default_rng(SCENE_SEED)
        scenes = (
            render_scene(each, rng, side_px=SCENE_PX) for each in draw_descriptions(rng, NUM_SCENES[split], scene_split)
        )
        size = self._image.width_px, self._image.height_px
        return [np.asarray(Image.fromarray(scene.pixels).resize(size, Image.Resampling.BICUBIC)) for scene in scenes]

    @override
    def copy_files(self, staging_dir: Path) -> None:
        """Nothing: the manifest says how an image is prepared."""

    def _random_images(self, rng: np.random.Generator, count: int) -> list[Item]:
        """Noise over a gradient: no two patches alike, and no patch flat."""
        rows, columns = self._image.height_px, self._image.width_px
        ramp = np.linspace(0, 155, rows)[:, None, None] * rng.uniform(0, 1, (count, 1, 1, 3))
        noise = rng.uniform(0, 100, (count, rows, columns, 3))
        return list((ramp + noise).astype(np.uint8))


def recording_reference(encoder: VisionEncoder) -> ReferenceModel:
    """Return the encoder itself, in its own precision, with its attention computed in torch."""

    @torch.no_grad()
    def run(pixels: Tensor) -> ReferenceOutput:
        recorder = AttentionRecorder(record=True)
        vector = encoder(pixels, recorder)
        return ReferenceOutput(
            vector,
            require_token_embeddings(recorder.token_embeddings),
            encoder.on_grid(recorder.weights),
            encoder.pooling_weights(recorder),
        )

    return run


class _EmbeddingGraph(nn.Module):
    def __init__(self, encoder: VisionEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        recorder = OnnxAttentionRecorder(record=True)
        return graph_outputs(self.encoder(pixels, recorder), require_token_embeddings(recorder.token_embeddings), None)


class _AttentionGraph(nn.Module):
    def __init__(self, encoder: VisionEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pixels: Tensor, heads: Tensor) -> tuple[Tensor, ...]:
        recorder = OnnxAttentionRecorder(record=True, head_indices=heads)
        vector = self.encoder(pixels, recorder)
        weights, head_weights = (self.encoder.on_grid(each) for each in (recorder.weights, recorder.head_weights))
        attention = CapturedAttention(
            weights, head_weights, self.encoder.pooling_weights(recorder), self.encoder.num_prefix_tokens
        )
        return graph_outputs(vector, require_token_embeddings(recorder.token_embeddings), attention)
