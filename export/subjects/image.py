"""An image encoder of ours as a subject: pictures in, of one size.

Letters: b items, y, x rows and columns of the picture in px, n positions, e width.
"""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from export.spelling import OnnxObserver
from export.subjects.base import Axes, Expected, Feeds, Item, Subject, results
from models.attention import Observer
from models.contract import tensors
from models.contract.manifest import AttentionSpec, EmbeddingSpec, ImageSpec
from models.encoders.image import ImageEncoder


class ImageSubject(Subject):
    """An encoder that takes pictures of one size as they are, resized."""

    modality = "image"

    def __init__(self, encoder: ImageEncoder) -> None:
        config = encoder.config
        self.axes: Axes = {tensors.PIXELS: ("b",)}
        self.architecture = config.kind
        self.space = config.space
        self._encoder = encoder
        self._width = config.embedding_width
        self._side_px = config.image_px
        self.image = ImageSpec(
            rows_px=config.image_px,
            columns_px=config.image_px,
            scaled_px=(config.image_px, config.image_px),
            interpolation="bilinear",
            transparency="white",
            grid=encoder.grid,
            prefix=encoder.prefix,
        )
        heads = [layer.shape[1] for layer in _watch(encoder, self.feed(self.example())[tensors.PIXELS])[1]]
        self.attention = AttentionSpec(heads=tuple(heads)) if heads else None

    @override
    def embedding(self, name: str) -> EmbeddingSpec:
        return EmbeddingSpec(width=self._width, pooling=self._encoder.pooling, normalize=True, space=self.space or name)

    @override
    def module(self, *, watching: bool) -> nn.Module:
        return _ImageGraph(self._encoder, watching=watching)

    @override
    def feed(self, items: Sequence[Item]) -> Feeds:
        return {tensors.PIXELS: np.stack(items)}

    @override
    def example(self) -> list[Item]:
        return _pictures(np.random.default_rng(0), 3, self._side_px)

    @override
    def batches(self, rng: np.random.Generator) -> Iterator[list[Item]]:
        for count in (1, 2, 7, 16):
            yield _pictures(rng, count, self._side_px)

    @override
    def expect(self, items: Sequence[Item]) -> list[Expected]:
        original = copy.deepcopy(self._encoder).double()
        return [_expect(original, item) for item in items]

    @override
    def copy_files(self, staged: Path) -> None:
        """Nothing: the manifest says how a picture is prepared."""


class _ImageGraph(nn.Module):
    def __init__(self, encoder: ImageEncoder, *, watching: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.watching = watching

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        observer = OnnxObserver(self.watching)
        vector = self.encoder(pixels, observer)
        return _told(self.encoder, vector, observer)


def _told(encoder: ImageEncoder, vector: Tensor, observer: Observer) -> tuple[Tensor, ...]:
    weights = encoder.on_grid(observer.weights)
    return results(vector, weights, encoder.pool, encoder.prefix)


@torch.no_grad()
def _watch(encoder: ImageEncoder, pixels: Item) -> tuple[Tensor, list[Tensor]]:
    observer = Observer(watching=True)
    vector = encoder(torch.from_numpy(pixels), observer)
    return vector, encoder.on_grid(observer.weights)


def _expect(original: ImageEncoder, picture: Item) -> Expected:
    vector, weights = _watch(original, picture[None])
    return Expected.of(vector, weights, original.pool, original.prefix)


def _pictures(rng: np.random.Generator, count: int, side_px: int) -> list[Item]:
    """Noise over a gradient: no two patches alike, and no patch flat."""
    ramp = np.linspace(0, 155, side_px)[:, None, None] * rng.uniform(0, 1, (count, 1, 1, 3))
    noise = rng.uniform(0, 100, (count, side_px, side_px, 3))
    return list((ramp + noise).astype(np.uint8))
