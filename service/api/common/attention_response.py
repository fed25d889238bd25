"""Attention in responses, aligned to characters of a text or pixels of an image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.artifact.arrays import Ints
from models.artifact.manifest import ImageSpec
from models.preprocess.image import PreprocessedImage
from models.preprocess.model_input import ModelInput
from models.preprocess.tokenized_text import TokenizedText, TokenOffset
from service.api.common.attention_schema import AttentionRequest, Units
from service.api.common.float16 import to_float16
from service.engine.plan import AttentionWeights
from service.http.responses import Base64Array, JsonArray
from service.pipeline.types import EmbeddingOutput

PX_DECIMALS = 2


def attention_object(options: AttentionRequest, weights: AttentionWeights, output: EmbeddingOutput) -> dict[str, Any]:
    """Return the attention object of an input, with its tokens or grid."""
    in_base64, values, indices = options.encoding == "base64", weights.values, weights.indices
    sparse = {}
    if indices is not None:
        sparse["indices"] = Base64Array(indices, _as_int32) if in_base64 else JsonArray(indices)
    return {
        "reduce": options.reduce,
        "query": options.to_options().query,
        "shape": values.shape,
        "values": Base64Array(values, to_float16) if in_base64 else JsonArray(values),
        **sparse,
        **alignment(output, options.units, with_prefix=options.reduce == "raw"),
    }


def _as_int32(indices: Ints) -> NDArray[np.int32]:
    return indices.astype("<i4")


def alignment(output: EmbeddingOutput, units: Units = "tokens", *, with_prefix: bool = False) -> dict[str, Any]:
    """Return the tokens, or words, of a text; the grid of an image."""
    prepared, image = output.prepared, output.encoder.manifest.image
    return {
        "tokens": _token_entries(prepared, units),
        "grid": _grid(prepared, image, with_prefix) if isinstance(prepared, PreprocessedImage) and image else None,
    }


def grid_info(spec: ImageSpec) -> dict[str, int]:
    """Return the patch grid of a model's images and the number of positions before it."""
    return {"rows": spec.grid[0], "columns": spec.grid[1], "prefix": spec.num_prefix_tokens}


def text_units(text: TokenizedText, units: Units) -> Sequence[TokenOffset]:
    """Return the offsets of the words if requested and known, otherwise of the tokens."""
    words = text.words if units == "words" else None
    return words.offsets if words else text.token_offsets


def _token_entries(prepared: ModelInput, units: Units) -> list[dict[str, Any]] | None:
    if not isinstance(prepared, TokenizedText):
        return None
    return [{"text": piece, "start": start, "end": end} for piece, start, end in text_units(prepared, units)]


def _grid(image: PreprocessedImage, spec: ImageSpec, with_prefix: bool) -> dict[str, Any]:
    boxes = image.patch_boxes_px(*spec.grid).round(PX_DECIMALS)
    return {**grid_info(spec), "prefix": spec.num_prefix_tokens if with_prefix else 0, "boxes_px": boxes}
