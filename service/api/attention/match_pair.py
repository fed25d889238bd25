"""`POST /v1/attention/match` by a cross-encoder, which reads both texts as one input."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

from models.artifact.arrays import Floats
from models.preprocess.model_input import TextPair, TokenizedText
from service.api.common.attention import Units, token_inputs, token_objects
from service.engine.plan import AttentionOptions
from service.errors import InvalidInput
from service.http import responses
from service.http.request import HttpRequest, infer_http
from service.http.responses import JsonArray
from service.pipeline.scores import activate
from service.pipeline.types import InferenceRequest, Input
from service.runtime.encoder import AnyEncoder

MEANING = (
    "similarity is the relevance of the second text to the first; relevance is the attention that the score pays to "
    "each part, and pairs that of the parts to each other, the mean of both directions: attribution, not cause"
)


async def match_pair(
    request: HttpRequest, encoder: AnyEncoder, inputs: Sequence[Input], *, units: Units, pairs: bool
) -> Response:
    """Return the score of a pair of texts, and the attention between them. Raises InvalidInput."""
    if not all(isinstance(value, str) for value in inputs):
        raise InvalidInput("a cross-encoder compares two texts", "inputs")
    first, second = (str(value) for value in inputs)
    options = AttentionOptions(query="all" if pairs else "pool", words=units == "words")
    inference_request = InferenceRequest(
        [TextPair(first, second)],
        model=encoder.name,
        task="rerank",
        attention=options,
        input_path=lambda _: "inputs",
    )
    (output,) = (await infer_http(request, inference_request)).outputs
    prepared, attention = output.prepared, output.attention
    assert isinstance(prepared, TokenizedText)
    assert attention is not None
    relevance = _pooled(attention.values, encoder.manifest.embedding.pooling) if pairs else attention.values
    parts = np.array([-1 if part is None else part for part in token_inputs(prepared, units)])
    sides = [np.flatnonzero(parts == i) for i in (0, 1)]
    objects = token_objects(prepared, units)
    return await responses.streaming_json(
        {
            "object": "attention.match",
            "model": encoder.name,
            "similarity": activate(output.output, "sigmoid")[0],
            "meaning": MEANING,
            "inputs": [
                {
                    "index": i,
                    "model": encoder.name,
                    "modality": "text",
                    "truncated": prepared.truncated,
                    "similarities": None,
                    "contributions": None,
                    "relevance": relevance[side],
                    "tokens": [objects[part] for part in side],
                    "grid": None,
                }
                for i, side in enumerate(sides)
            ],
            **({"pairs": JsonArray(_between(attention.values, *sides))} if pairs else {}),
        }
    )


def _pooled(matrix: Floats, pooling: str) -> Floats:
    """Return the row `[n]` of the output: that of the first position, or the mean of all."""
    row: Floats = matrix[0] if pooling == "cls" else matrix.mean(axis=0)
    return row


def _between(matrix: Floats, first: NDArray[np.intp], second: NDArray[np.intp]) -> Floats:
    """Return the attention between the parts of two texts, the mean of both directions: `[m, n]`."""
    both = (matrix[np.ix_(first, second)] + matrix[np.ix_(second, first)].T) / 2
    return np.ascontiguousarray(both, dtype=np.float32)
