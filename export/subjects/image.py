"""An image encoder as a subject: pictures in, of one size.

Letters: b items, y, x rows and columns of the picture in px, n positions, k heads that are asked for, e width.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from typing_extensions import override

from export.precision.use import Use
from export.spelling import OnnxObserver
from export.subjects.base import Axes, Facts, Feeds, Item, Subject
from export.subjects.original import Answer, Original
from export.subjects.seen import Seen, left, results
from models.attention import Observer
from models.contract import tensors
from models.contract.specs import AttentionSpec, ImageSpec
from models.picture import PictureEncoder
from models.scenes.description import Split, draw_distinct
from models.scenes.rendering import render

EXPECTED_BYTES = 2**30
"""Of attention that the original gives for one batch in float64."""

SCENES: dict[Use, int] = {"calibration": 24, "gate": 200}
SCENE_PX = 256
SCENE_SEED = 11


@dataclass(frozen=True, kw_only=True)
class ImageFacts(Facts):
    image: ImageSpec


class ImageSubject(Subject[PictureEncoder]):
    """A picture encoder, each picture an item."""

    modality = "image"

    def __init__(
        self, facts: ImageFacts, load: Callable[[], PictureEncoder], original: Callable[[torch.dtype], Original]
    ) -> None:
        super().__init__(facts, load, original)
        self.image = self._image = facts.image
        seen = watched(self._encoder)(torch.from_numpy(np.stack(self.example())))
        heads = tuple(layer.shape[1] for layer in seen.weights)
        self.attention = AttentionSpec(heads=heads) if heads else None
        self.axes: Axes = {tensors.PIXELS: ("b",)}
        if heads:
            self.axes[tensors.HEADS] = ("k",)

    @property
    @override
    def fused_attentions(self) -> int:
        """Where a probe pools the positions, that is one more, though no layer of the encoder."""
        return super().fused_attentions + (self._pooling == "attention")

    @override
    def module(self) -> nn.Module:
        return _BlindGraph(self._encoder) if self.attention is None else _WatchedGraph(self._encoder)

    @override
    def feed(self, items: Sequence[Item]) -> Feeds:
        return {tensors.PIXELS: np.stack(items)}

    @override
    def example(self) -> list[Item]:
        return self._pictures(np.random.default_rng(0), 3)

    @override
    def batches(self, rng: np.random.Generator) -> Iterator[list[Item]]:
        """1 to 16 pictures, fewer where their attention is large."""
        matrices = self.attention.matrices if self.attention else 1
        most = max(1, EXPECTED_BYTES // (8 * matrices * self._image.positions**2))
        for count in (1, 3, 7, 16):
            yield self._pictures(rng, min(count, most))

    @override
    def run(self, encoder: nn.Module, items: Sequence[Item]) -> Tensor:
        vectors: Tensor = encoder(torch.from_numpy(np.stack(items)))
        return vectors

    @override
    def corpus(self, use: Use) -> list[Item]:
        """Drawn scenes: what is at hand of pictures with things in them."""
        split: Split = "train" if use == "calibration" else "unseen"
        rng = np.random.default_rng(SCENE_SEED)
        scenes = (render(each, rng, side_px=SCENE_PX) for each in draw_distinct(rng, SCENES[use], split))
        size = self._image.columns_px, self._image.rows_px
        return [np.asarray(Image.fromarray(scene.pixels).resize(size, Image.Resampling.BICUBIC)) for scene in scenes]

    @override
    def copy_files(self, staged: Path) -> None:
        """Nothing: the manifest says how a picture is prepared."""

    def _pictures(self, rng: np.random.Generator, count: int) -> list[Item]:
        """Noise over a gradient: no two patches alike, and no patch flat."""
        rows, columns = self._image.rows_px, self._image.columns_px
        ramp = np.linspace(0, 155, rows)[:, None, None] * rng.uniform(0, 1, (count, 1, 1, 3))
        noise = rng.uniform(0, 100, (count, rows, columns, 3))
        return list((ramp + noise).astype(np.uint8))


def watched(encoder: PictureEncoder) -> Original:
    """The encoder itself, its attention spelled out in torch, in whatever precision it has."""

    @torch.no_grad()
    def run(pixels: Tensor) -> Answer:
        observer = Observer(watching=True)
        vector = encoder(pixels, observer)
        return Answer(vector, left(observer.positions), encoder.on_grid(observer.weights), encoder.shares(observer))

    return run


class _BlindGraph(nn.Module):
    def __init__(self, encoder: PictureEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        observer = OnnxObserver(watching=True)
        return results(self.encoder(pixels, observer), left(observer.positions), None)


class _WatchedGraph(nn.Module):
    def __init__(self, encoder: PictureEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pixels: Tensor, heads: Tensor) -> tuple[Tensor, ...]:
        observer = OnnxObserver(watching=True, heads=heads)
        vector = self.encoder(pixels, observer)
        weights, chosen = (self.encoder.on_grid(each) for each in (observer.weights, observer.chosen))
        seen = Seen(weights, chosen, self.encoder.shares(observer), self.encoder.prefix)
        return results(vector, left(observer.positions), seen)
