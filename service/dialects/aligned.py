"""Answers aligned to what the caller sent: characters of a text, pixels of a picture. Shared by the dialects."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.contract.arrays import Ints
from models.contract.manifest import ImageSpec
from models.preprocess.image import Picture
from models.preprocess.prepared import Prepared
from models.preprocess.tokens import Piece, Tokens
from service.dialects.attending import AttentionRequest, Units
from service.engine.condensing import Weights
from service.http.asked import Item
from service.http.halves import halved
from service.http.pieces import Coded, Numbers

PX_DECIMALS = 2


def attention(asked: AttentionRequest, weights: Weights, item: Item) -> dict[str, Any]:
    """An item's attention, and what its weights stand on."""
    coded, values, indices = asked.encoding == "base64", weights.values, weights.indices
    sparse = {}
    if indices is not None:
        sparse["indices"] = Coded(indices, _as_int32) if coded else Numbers(indices)
    return {
        "reduce": asked.reduce,
        "query": asked.to_query().query,
        "shape": values.shape,
        "values": Coded(values, halved) if coded else Numbers(values),
        **sparse,
        **told_on(item, asked.units, with_prefix=asked.reduce == "raw"),
    }


def _as_int32(indices: Ints) -> NDArray[np.int32]:
    return indices.astype("<i4")


def told_on(item: Item, units: Units = "tokens", *, with_prefix: bool = False) -> dict[str, Any]:
    """The tokens, or words, of a text; the grid of a picture."""
    prepared, image = item.prepared, item.encoder.manifest.image
    return {
        "tokens": _entries(prepared, units),
        "grid": _told_grid(prepared, image, with_prefix) if isinstance(prepared, Picture) and image else None,
    }


def cells(spec: ImageSpec) -> dict[str, int]:
    """The grid that a model's pictures are told on, and how many positions come before it."""
    return {"rows": spec.grid[0], "columns": spec.grid[1], "prefix": spec.prefix}


def pieces_of(text: Tokens, units: Units) -> Sequence[Piece]:
    """Its tokens, or its words where they are asked for and known."""
    words = text.words if units == "words" else None
    return words.pieces if words else text.pieces


def _entries(prepared: Prepared, units: Units) -> list[dict[str, Any]] | None:
    if not isinstance(prepared, Tokens):
        return None
    return [{"text": piece, "start": start, "end": end} for piece, start, end in pieces_of(prepared, units)]


def _told_grid(picture: Picture, spec: ImageSpec, with_prefix: bool) -> dict[str, Any]:
    boxes = picture.boxes_px(*spec.grid).round(PX_DECIMALS)
    return {**cells(spec), "prefix": spec.prefix if with_prefix else 0, "boxes_px": boxes}
