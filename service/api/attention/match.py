"""`POST /v1/attention/match`: the similarity of two inputs, and the part of each token or patch in it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field, StrictBool, StrictStr, WithJsonSchema
from starlette.responses import Response

from models.artifact.arrays import Floats
from models.artifact.manifest import Modality
from models.artifact.specs import EmbeddingSpec
from models.preprocess.model_input import get_word_offsets
from service.api.attention.match_pair import match_pair
from service.api.common.attention import Units, alignment
from service.api.common.inputs import (
    INPUT_SCHEMA,
    MULTIMODAL_INPUT_DESCRIPTION,
    Grid,
    MultimodalInput,
    Token,
    to_multimodal_input,
)
from service.engine.plan import FLOAT_BYTES, AttentionOptions, mean_from_words, sum_to_words
from service.errors import AttentionTooLarge, InvalidInput, InvalidParameter
from service.http import responses
from service.http.request import CancelOnDisconnect, HttpRequest, infer_http
from service.http.responses import JsonArray
from service.http.validation import RequestModel
from service.pipeline.types import InferenceRequest, InferenceResult, InputResult, TokenIds

_TWO_SCHEMA = {"type": "array", "items": INPUT_SCHEMA, "minItems": 2, "maxItems": 2}


class MatchRequest(RequestModel):
    """Attribution of one input's similarity to another."""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ("inputs",)
    INPUT_DESCRIPTION: ClassVar[str] = MULTIMODAL_INPUT_DESCRIPTION

    inputs: Annotated[list[MultimodalInput], Field(fail_fast=True), WithJsonSchema(_TWO_SCHEMA)]
    model: StrictStr | None = Field(None, description="Default: the first model that accepts the first input.")
    units: Units = Field("tokens", description="The parts of a text.")
    pairs: StrictBool = Field(False, description="Also return the cosine of each pair of parts.")

    def to_inference_request(self) -> InferenceRequest:
        """Convert to an InferenceRequest. Raises InvalidInput unless there are two inputs."""
        if len(self.inputs) != 2:
            raise InvalidInput(f"inputs must contain exactly two items, not {len(self.inputs)}", "inputs")
        return InferenceRequest(
            [to_multimodal_input(value) for value in self.inputs],
            model=self.model,
            attention=AttentionOptions(),
            attention_optional=True,
            return_token_embeddings=True,
            input_path="inputs[{}]".format,
        )


class MatchedInput(BaseModel):
    """One of the two inputs, by its tokens, words or patches."""

    index: int
    model: str
    modality: Modality
    truncated: bool
    similarities: list[float] | None = Field(
        description="Cosine of each part's vector with the other input's embedding; null for a cross-encoder."
    )
    contributions: list[float] | None = Field(
        description="Sums to the similarity; null if the embedding is not the mean of its parts' vectors."
    )
    relevance: list[float] | None = Field(description="Attention rollout, sums to 1; null without attention.")
    tokens: list[Token] | None
    grid: Grid | None


class MatchResponse(BaseModel):
    """Similarity of two inputs, and the attribution to their parts."""

    object: Literal["attention.match"]
    model: str
    similarity: float = Field(description="Cosine of the two embeddings; of a cross-encoder, its score from 0 to 1.")
    meaning: str
    inputs: list[MatchedInput]
    pairs: list[list[float]] = Field(
        [], description="With pairs: one row for each part of the first input, cosines; of a cross-encoder, attention."
    )


EPSILON = 1e-12
"""Added to lengths, so that a zero vector causes no division by zero."""


@dataclass(frozen=True)
class InputAttribution:
    """One of two items: `part_embeddings` `[u, e]` are the vectors of its parts, not scaled.

    `similarities` `[u]` are their cosines with the other item's vector: late interaction, with one vector on the other
    side. `contributions` `[u]` add up to the cosine of the two items, where the item's vector is the mean of its
    positions'; they are None where it is not. `relevance` `[u]` is rollout, None where there is no attention.
    """

    output: InputResult
    part_embeddings: Floats
    similarities: Floats
    contributions: Floats | None
    relevance: Floats | None


@dataclass(frozen=True)
class SimilarityAttribution:
    """`similarity` is the cosine of the inputs; `pairs` `[u, u]`, if requested, that of each part with each."""

    similarity: float
    inputs: tuple[InputAttribution, InputAttribution]
    pairs: Floats | None


def attribute_similarity(outputs: Sequence[InputResult], *, words: bool, pairs: bool) -> SimilarityAttribution:
    """Of two items that came with the vectors of their positions. Raises ValueError for other than two."""
    a, b = outputs
    embeddings = _l2_normalize(a.output), _l2_normalize(b.output)
    attributions = _attribute_input(a, embeddings[1], words), _attribute_input(b, embeddings[0], words)
    pair_similarities = (
        _l2_normalize(attributions[0].part_embeddings) @ _l2_normalize(attributions[1].part_embeddings).T
        if pairs
        else None
    )
    return SimilarityAttribution(float(embeddings[0] @ embeddings[1]), attributions, pair_similarities)


def num_parts(output: InputResult, *, words: bool) -> int:
    """How many parts an item has."""
    parts = get_word_offsets(output.prepared) if words else None
    return (
        output.prepared.num_tokens - output.encoder.manifest.num_prefix_tokens
        if parts is None
        else len(parts.first_tokens)
    )


def _attribute_input(output: InputResult, other_embedding: Floats, words: bool) -> InputAttribution:
    assert output.token_embeddings is not None
    manifest = output.encoder.manifest
    rows = output.token_embeddings[manifest.num_prefix_tokens :]
    contributions = _contributions(rows, other_embedding, manifest.embedding)
    relevance = output.attention.values if output.attention else None
    parts = get_word_offsets(output.prepared) if words else None
    if parts is None:
        return InputAttribution(output, rows, _l2_normalize(rows) @ other_embedding, contributions, relevance)
    word_embeddings = mean_from_words(rows, parts.first_tokens)
    per_word = [None if each is None else sum_to_words(each, parts.first_tokens) for each in (contributions, relevance)]
    return InputAttribution(output, word_embeddings, _l2_normalize(word_embeddings) @ other_embedding, *per_word)


def _contributions(rows: Floats, other_embedding: Floats, spec: EmbeddingSpec) -> Floats | None:
    """Return `[m]`, which add up to the cosine: the embedding is the mean of `rows` `[m, e]`, up to its length."""
    if (spec.token_embeddings, spec.pooling) != ("pooled", "mean"):
        return None
    length = np.linalg.norm(rows.mean(axis=0))
    contributions: Floats = rows @ other_embedding / np.float32(len(rows) * max(float(length), EPSILON))
    return contributions


def _l2_normalize(vectors: Floats) -> Floats:
    """Scaled to length 1, `[..., e]`."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    normalized: Floats = vectors / np.maximum(lengths, np.float32(EPSILON))
    return normalized


MEANING = (
    "attribution, not cause: the direction of the parts' vectors and the attention they receive; the similarity "
    "need not change by the same amount when a part is removed"
)


async def match(request: HttpRequest) -> Response:
    """Compare two inputs: a text and a text, a text and an image, an image and an image."""
    payload = await MatchRequest.read(request)
    inference_request = payload.to_inference_request()
    words = payload.units == "words"
    if words and any(isinstance(value, TokenIds) for value in inference_request.inputs):
        raise InvalidParameter("units=words does not apply to token ids; send the text", "units")
    state = request.app_state
    if payload.model is not None and "rerank" in (encoder := state.models.get(payload.model)).manifest.tasks:
        return await match_pair(request, encoder, inference_request.inputs, units=payload.units, pairs=payload.pairs)
    result = await infer_http(request, inference_request)
    if payload.pairs:
        _check_size(result, state.settings.max_attention_bytes, words=words)
    work = partial(attribute_similarity, result.outputs, words=words, pairs=payload.pairs)
    async with CancelOnDisconnect(request):
        attribution = await asyncio.get_running_loop().run_in_executor(state.tokenizer_pool, work)
    return await responses.streaming_json(_response(attribution, result.encoder.name, payload))


def _check_size(result: InferenceResult, max_bytes: int, *, words: bool) -> None:
    a, b = (num_parts(item, words=words) for item in result.outputs)
    size = FLOAT_BYTES * a * b
    if size > max_bytes:
        raise AttentionTooLarge(f"{a} x {b} pairs take {size} bytes, the limit is {max_bytes}; omit pairs", "pairs")


def _response(attribution: SimilarityAttribution, model: str, payload: MatchRequest) -> dict[str, Any]:
    pairs = {} if attribution.pairs is None else {"pairs": JsonArray(attribution.pairs)}
    return {
        "object": "attention.match",
        "model": model,
        "similarity": attribution.similarity,
        "meaning": MEANING,
        "inputs": [_input_object(i, side, payload.units) for i, side in enumerate(attribution.inputs)],
        **pairs,
    }


def _input_object(index: int, attribution: InputAttribution, units: Units) -> dict[str, Any]:
    manifest = attribution.output.encoder.manifest
    return {
        "index": index,
        "model": manifest.name,
        "modality": manifest.modality,
        "truncated": attribution.output.prepared.truncated,
        "similarities": attribution.similarities,
        "contributions": attribution.contributions,
        "relevance": attribution.relevance,
        **alignment(attribution.output, units),
    }
