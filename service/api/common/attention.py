"""Request model of attention options."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

from models.artifact.arrays import Floats, Ints
from models.artifact.manifest import ImageSpec
from models.artifact.tensors import Reduction
from models.preprocess.image import PreprocessedImage
from models.preprocess.model_input import ModelInput, TokenizedText, TokenOffset
from service.engine.plan import AttentionOptions, AttentionWeights
from service.http.responses import Base64Array, JsonArray
from service.http.validation import integral
from service.pipeline.types import InputResult

Indices = Annotated[
    tuple[Annotated[StrictInt, Field(ge=0)], ...], Field(min_length=1, max_length=1_024, fail_fast=True)
]


Units = Literal["tokens", "words"]
"""Units of a text."""


class AttentionRequest(BaseModel):
    """Attention to return; `true` stands for all defaults."""

    model_config = ConfigDict(extra="forbid")

    reduce: Literal[Reduction, "raw"] = Field(
        "rollout", description="How layers and heads are reduced, or raw weights."
    )
    query: Literal["pool", "all"] | Annotated[StrictInt, Field(ge=0)] | None = Field(
        None,
        description="Attention of the pooled output, of all positions, or of one token, word or patch (with raw, of "
        "one position of an image: grid.prefix positions precede its patches). Default pool; all with raw.",
    )
    layers: Literal["all"] | Indices = Field("all", description="With raw: which layers.")
    heads: Literal["all", "mean", "max"] | Indices = Field(
        "all", description="With raw: which heads, or a layer's heads combined; with max, rows are scaled to sum to 1."
    )
    top_k: Annotated[StrictInt, Field(ge=1), BeforeValidator(integral)] | None = Field(
        None, description="Return only the k largest weights per row, descending, with their indices."
    )
    units: Units = Field(
        "tokens",
        description="For a text: merge tokens into words. Attention to a word is the sum over its tokens; "
        "attention from a word is the mean over its tokens.",
    )
    encoding: Literal["json", "base64"] = Field(
        "json", description="Nested lists, or base64 of little-endian float16 values and int32 indices."
    )

    def to_options(self) -> AttentionOptions:
        default: Literal["pool", "all"] = "all" if self.reduce == "raw" else "pool"
        return AttentionOptions(
            reduce=self.reduce,
            query=default if self.query is None else self.query,
            layers=None if self.layers == "all" else self.layers,
            heads=None if self.heads == "all" else self.heads,
            top_k=self.top_k,
            words=self.units == "words",
        )


def _as_object(value: object) -> object:
    if isinstance(value, dict) and len(value) > len(AttentionRequest.model_fields):
        raise ValueError("attention has unknown fields")
    return {} if value is True else None if value is False else value


Attention = Annotated[
    AttentionRequest | None,
    BeforeValidator(_as_object),
    Field(json_schema_extra={"examples": [True, {"reduce": "raw"}]}),
]
"""Attention option of a request: `true` requests all defaults, `false` none."""


_EXPONENT_REBIAS = np.uint32((((15 - 127) << 23) + 0xFFF) & 0xFFFFFFFF)
"""Offset from float32's exponent to float16's, and all but the last bit of rounding half up."""

_DROPPED_BITS = np.uint32(13)
_MIN_NORMAL = np.float32(2.0**-14)
_HALF = np.float32(0.5)
"""Float whose last bit is that of float16's subnormals: adding it rounds to them."""


def to_float16(weights: Floats) -> NDArray[np.float16]:
    """Convert float32 to little-endian float16 of the same shape, rounded to nearest even; from 0 to 65,519.

    Both kinds of bits are computed for every value, then one is selected: a few vectorized passes. Source: F. Giesen,
    "float->half variants" (2016), for single values.
    """
    bits = weights.view(np.uint32)
    normal = bits >> _DROPPED_BITS
    normal &= np.uint32(1)
    normal += bits
    normal += _EXPONENT_REBIAS
    normal >>= _DROPPED_BITS
    subnormal = (weights + _HALF).view(np.uint32) - _HALF.view(np.uint32)
    return np.where(weights < _MIN_NORMAL, subnormal, normal).astype("<u2").view("<f2")


PX_DECIMALS = 2


def attention_object(options: AttentionRequest, weights: AttentionWeights, output: InputResult) -> dict[str, Any]:
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


def requested_attention(options: AttentionRequest | None, output: InputResult) -> dict[str, Any]:
    """Return the `attention` field of an input's answer; nothing if none was requested."""
    if options is None or output.attention is None:
        return {}
    return {"attention": attention_object(options, output.attention, output)}


def _as_int32(indices: Ints) -> NDArray[np.int32]:
    return indices.astype("<i4")


def alignment(output: InputResult, units: Units = "tokens", *, with_prefix: bool = False) -> dict[str, Any]:
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
