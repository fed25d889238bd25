"""Request model of attention options."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

from models.artifact.arrays import Floats, Ints
from models.artifact.manifest import ImageSpec
from models.artifact.tensors import Reduction
from models.preprocess.image import PreprocessedImage
from models.preprocess.model_input import TokenizedText, TokenOffset
from service.engine.plan import AttentionOptions, AttentionWeights
from service.engine.positions import TextSpan
from service.http.responses import Base64Array, JsonArray
from service.http.validation import flag_as_object, integral
from service.pipeline.types import InputResult

Indices = Annotated[
    tuple[Annotated[StrictInt, Field(ge=0)], ...], Field(min_length=1, max_length=1_024, fail_fast=True)
]


class SpanRequest(BaseModel):
    """Tokens of a text, or of one text of a pair: all, or those within `start` to before `end`, in code points."""

    model_config = ConfigDict(extra="forbid")

    input: Annotated[StrictInt, Field(ge=0, le=1)] = 0
    start: Annotated[StrictInt, Field(ge=0)] | None = None
    end: Annotated[StrictInt, Field(ge=1)] | None = None

    def to_span(self) -> TextSpan:
        return TextSpan(self.input, self.start, self.end)


_Index = Annotated[StrictInt, Field(ge=0)]
LayerHead = tuple[_Index, _Index]

Units = Literal["tokens", "words"]
"""Units of a text."""


class AttentionRequest(BaseModel):
    """Attention to return; `true` stands for all defaults."""

    model_config = ConfigDict(extra="forbid")

    reduce: Literal[Reduction, "raw"] = Field(
        "rollout", description="How layers and heads are reduced, or raw weights."
    )
    query: Literal["pool", "all"] | Indices | SpanRequest | Annotated[StrictInt, Field(ge=0)] | None = Field(
        None,
        description="Attention of the pooled output, of all positions, or of one token, word or patch (with raw, of "
        "one position of an image: grid.prefix positions precede its patches), of several, or of a span of a text, "
        "such as the first of a pair. Default pool; all with raw.",
    )
    keys: Literal["all"] | Indices | SpanRequest = Field(
        "all", description="Attention to all positions, to some, or to a span of a text, such as the second of a pair."
    )
    layers: Literal["all"] | Indices = Field("all", description="With raw: which layers.")
    heads: Literal["all", "mean", "max"] | Indices = Field(
        "all", description="With raw: which heads, or a layer's heads combined; with max, rows are scaled to sum to 1."
    )
    layer_heads: Annotated[tuple[LayerHead, ...], Field(min_length=1, max_length=256, fail_fast=True)] | None = Field(
        None, description="With raw, in place of layers and heads: pairs of a layer and one of its heads."
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
            query=default if self.query is None else _to_positions(self.query),
            keys=None if self.keys == "all" else _to_positions(self.keys),
            layer_heads=self.layer_heads,
            layers=None if self.layers == "all" else self.layers,
            heads=None if self.heads == "all" else self.heads,
            top_k=self.top_k,
            words=self.units == "words",
        )


_Query = TypeVar("_Query")


def _to_positions(value: _Query | SpanRequest) -> _Query | TextSpan:
    return value.to_span() if isinstance(value, SpanRequest) else value


def _as_object(value: object) -> object:
    if isinstance(value, dict) and len(value) > len(AttentionRequest.model_fields):
        raise ValueError("attention has unknown fields")
    return flag_as_object(value)


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
    sparse: dict[str, object] = {}
    if weights.queries is not None:
        sparse["query_positions"] = weights.queries
    if weights.keys is not None:
        sparse["key_positions"] = weights.keys
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
        "tokens": token_objects(prepared, units) if isinstance(prepared, TokenizedText) else None,
        "grid": _grid(prepared, image, with_prefix) if isinstance(prepared, PreprocessedImage) and image else None,
    }


def grid_info(spec: ImageSpec) -> dict[str, int]:
    """Return the patch grid of a model's images and the number of positions before it."""
    return {"rows": spec.grid[0], "columns": spec.grid[1], "prefix": spec.num_prefix_tokens}


def text_units(text: TokenizedText, units: Units) -> Sequence[TokenOffset]:
    """Return the offsets of the words if requested and known, otherwise of the tokens."""
    words = text.words if units == "words" else None
    return words.offsets if words else text.token_offsets


def token_inputs(text: TokenizedText, units: Units) -> Sequence[int | None]:
    """Return which text of a pair each token, or word, is in; None for special tokens."""
    inputs = text.token_inputs or [0] * text.num_tokens
    words = text.words if units == "words" else None
    return inputs if words is None else [inputs[first] for first in words.first_tokens.tolist()]


def token_objects(text: TokenizedText, units: Units) -> list[dict[str, Any]]:
    """Return the tokens, or words, of a text, or of a pair with the text that each is in."""
    entries: list[dict[str, Any]] = [
        {"text": piece, "start": start, "end": end} for piece, start, end in text_units(text, units)
    ]
    if text.token_inputs is not None:
        for entry, part in zip(entries, token_inputs(text, units), strict=True):
            entry["input"] = part
    return entries


def _grid(image: PreprocessedImage, spec: ImageSpec, with_prefix: bool) -> dict[str, Any]:
    boxes = image.patch_boxes_px(*spec.grid).round(PX_DECIMALS)
    return {**grid_info(spec), "prefix": spec.num_prefix_tokens if with_prefix else 0, "boxes_px": boxes}
