"""`/classify` of vLLM and infinity, `/predict` and `/predict_tokens` of text-embeddings-inference and Hugging Face, and
Weaviate's `/ner/`."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

from starlette.responses import Response

from models.artifact.arrays import Floats
from models.artifact.specs import Activation, HeadSpec
from models.preprocess.model_input import TextPair, TokenizedText
from service.api import weaviate
from service.api.classify.request import (
    ClassificationError,
    ClassificationResponse,
    ClassifyOptions,
    ClassifyRequest,
    Labels,
    NerRequest,
    NerResponse,
    PredictRequest,
    TokenLabelsResponse,
    TokensRequest,
)
from service.api.common.attention import requested_attention
from service.api.common.inputs import IMAGE_TYPES, PIXEL, is_image
from service.api.tei import endpoints as tei
from service.errors import InvalidParameter
from service.http import body, responses
from service.http.endpoints import Dialect, Endpoint
from service.http.request import CancelOnDisconnect, HttpRequest, infer_http, parse_query_int
from service.http.responses import StreamedList
from service.pipeline.scores import Aggregation, Entity, activate, find_entities, ranked_labels
from service.pipeline.types import Image, InferenceRequest, InferenceResult, Input, InputResult


async def classify(request: HttpRequest) -> Response:
    """Label texts, pairs of texts or images; an image can also be the body itself."""
    raw = is_infinity = False
    if is_image(request):
        options = _options_from_query(request)
        inference_request = options.to_inference_request([Image(await body.read_body(request))])
    else:
        options = payload = await ClassifyRequest.read(request)
        raw, is_infinity = payload.raw, payload.raw_scores is not None
        inference_request = payload.to_inference_request(payload.inputs(), truncate=payload.truncate)
    result = await infer_http(request, inference_request)
    head = head_of(result)
    scores = [activate(output.output, "none" if raw else head.activation) for output in result.outputs]
    if is_infinity:
        entries = (_labels(head, each, options.top_k) for each in scores)
        return await responses.streaming_json({**_envelope("classify", result), "data": StreamedList(entries)})
    data = (
        _classify_object(options, head, i, output, each)
        for i, (output, each) in enumerate(zip(result.outputs, scores, strict=True))
    )
    return await responses.streaming_json({**_envelope("list", result), "data": StreamedList(data)})


async def predict(request: HttpRequest) -> Response:
    """Label texts, as text-embeddings-inference and Hugging Face's client ask for it."""
    request.error_response = tei.error_response
    payload = await PredictRequest.read(request)
    inference_request = payload.to_inference_request()
    result = await infer_http(request, inference_request)
    head, top_k = head_of(result), payload.parameters.top_k if payload.parameters else None
    labels = (
        _labels(head, activate(output.output, payload.activation or head.activation), top_k)
        for output in result.outputs
    )
    # Hugging Face's client reads the first of a list, also for one text.
    content = StreamedList(labels) if payload.is_batch or payload.parameters else next(labels)
    return _timed(inference_request, result, await responses.streaming_json(content))


async def predict_tokens(request: HttpRequest) -> Response:
    """Label the tokens of texts, as Baseten's servers and Hugging Face's client ask for it."""
    request.error_response = tei.error_response
    payload = await TokensRequest.read(request)
    inference_request = payload.to_inference_request()
    parameters = payload.parameters
    result = await infer_http(request, _with_token_task(inference_request))
    ignored = ("O",) if parameters is None or parameters.ignore_labels is None else parameters.ignore_labels
    head = head_of(result)
    activation: Activation = payload.activation or head.activation

    def entries(source: Input, output: InputResult) -> list[dict[str, Any]]:
        scores = activate(output.output, activation)
        if payload.is_batch and payload.strategy == "none":
            return _token_labels(head, output, scores)
        return _entity_objects(source, output, scores, head, payload.strategy, ignored)

    def run() -> bytes:
        answers = [
            responses.dump(entries(*each)) for each in zip(inference_request.inputs, result.outputs, strict=True)
        ]
        return b"[" + b",".join(answers) + b"]" if payload.is_batch else answers[0]

    # On a thread: the tokens of many texts would block the event loop.
    async with CancelOnDisconnect(request):
        content = await asyncio.get_running_loop().run_in_executor(request.app_state.tokenizer_pool, run)
    return _timed(inference_request, result, Response(content, media_type=body.JSON))


async def ner(request: HttpRequest) -> Response:
    """Find the entities of a text, as Weaviate's ner-transformers asks for it."""
    request.error_response = weaviate.error_response
    payload = await NerRequest.read(request)
    result = await infer_http(
        request, InferenceRequest([payload.text], task="token-classify", input_path=lambda _: "text")
    )
    (output,) = result.outputs
    head = head_of(result)
    entities = _entities(payload.text, output, activate(output.output, head.activation), head, "simple", ("O",))
    tokens = [
        {
            "entity": entity.label, "certainty": entity.score, "distance": 1 - entity.score, "word": entity.text,
            "startPosition": entity.start, "endPosition": entity.end,
        }
        for entity in entities
    ]  # fmt: skip
    return responses.json_response({"tokens": tokens})


def head_of(result: InferenceResult) -> HeadSpec:
    """Return the head of the model that has answered with one."""
    head = result.encoder.manifest.head
    if head is None:
        raise TypeError(f"{result.encoder.name} has no head")
    return head


def _with_token_task(inference_request: InferenceRequest) -> InferenceRequest:
    return InferenceRequest(
        inference_request.inputs,
        model=inference_request.model,
        task="token-classify",
        truncate=inference_request.truncate,
        kept=inference_request.kept,
        input_path=inference_request.input_path,
    )


def _options_from_query(request: HttpRequest) -> ClassifyOptions:
    known = ("model", "top_k", "attention")
    query = request.query_params
    if not query.keys() <= set(known):
        raise InvalidParameter(f"query parameters are {', '.join(known)}; for others send the image as JSON", "query")
    fields: dict[str, object] = dict(query)
    if "top_k" in query:
        fields["top_k"] = parse_query_int(query["top_k"])
    if "attention" in query:
        words = {"true": True, "false": False}
        fields["attention"] = words.get(query["attention"], {"reduce": query["attention"]})
    return ClassifyOptions.parse(fields, max_inputs=1)


def _labels(head: HeadSpec, scores: Floats, top_k: int | None = None) -> list[dict[str, Any]]:
    return [{"label": label, "score": score} for label, score in ranked_labels(head, scores, top_k)]


def _classify_object(
    options: ClassifyOptions, head: HeadSpec, index: int, output: InputResult, scores: Floats
) -> dict[str, Any]:
    labels = _labels(head, scores, options.top_k)
    return {
        "index": index,
        "label": labels[0]["label"],
        "probs": scores,
        "num_classes": len(scores),
        "labels": labels,
        "truncated": output.prepared.truncated,
        **requested_attention(options.attention, output),
    }


def _envelope(kind: str, result: InferenceResult) -> dict[str, Any]:
    """Return what vLLM's and infinity's answers have around their data."""
    return {
        "id": f"classify-{uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": result.encoder.name,
        "usage": {"prompt_tokens": result.num_tokens, "total_tokens": result.num_tokens},
    }


def _entities(
    source: Input, output: InputResult, scores: Floats, head: HeadSpec, strategy: Aggregation, ignored: Sequence[str]
) -> list[Entity]:
    texts = tuple(source) if isinstance(source, TextPair) else (source,)
    prepared = output.prepared
    assert isinstance(prepared, TokenizedText)
    return find_entities([str(text) for text in texts], prepared, scores, head.labels, strategy, ignored)


def _entity_objects(
    source: Input, output: InputResult, scores: Floats, head: HeadSpec, strategy: Aggregation, ignored: Sequence[str]
) -> list[dict[str, Any]]:
    """Return Hugging Face's objects; "none" names the label of a token and its index."""
    entities = _entities(source, output, scores, head, strategy, ignored)
    return [
        {
            "entity" if strategy == "none" else "entity_group": entity.label,
            "score": entity.score,
            "word": entity.text,
            "start": entity.start,
            "end": entity.end,
            **({"index": entity.index} if strategy == "none" else {}),
            **({"input": entity.input} if isinstance(source, TextPair) else {}),
        }
        for entity in entities
    ]


def _token_labels(head: HeadSpec, output: InputResult, scores: Floats) -> list[dict[str, Any]]:
    """Return the scores of all labels for each token in the text."""
    prepared = output.prepared
    assert isinstance(prepared, TokenizedText)
    inputs = prepared.token_inputs
    rows = zip(prepared.token_offsets, prepared.ids.tolist(), scores.tolist(), strict=True)
    return [
        {
            "token": token,
            "token_id": id,
            "start": start,
            "end": end,
            **({"input": inputs[i]} if inputs else {}),
            "results": dict(zip(head.labels, row, strict=True)),
        }
        for i, ((token, start, end), id, row) in enumerate(rows)
        if start < end
    ]


def _timed(inference_request: InferenceRequest, result: InferenceResult, response: Response) -> Response:
    characters = sum(
        sum(map(len, value)) if isinstance(value, TextPair) else len(value)
        for value in inference_request.inputs
        if isinstance(value, str | TextPair)
    )
    return tei.with_timing_headers(response, characters, result.num_tokens, result.timing, result.encoder)


def _examples() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "a text", {"input": "A lamp warns the ships."}
    yield "a pair of texts", {"input": {"text": "A lamp warns the ships.", "text_pair": "Ships are warned."}}
    yield "an image", {"input": {"image": PIXEL}, "top_k": 3}


_QUERY = [
    {"name": name, "in": "query", "schema": {"type": type}, "description": f"With an image as the body: {description}"}
    for name, type, description in (
        ("model", "string", "the model."),
        ("top_k", "integer", "return the best labels only."),
        ("attention", "string", "true, false, or a reduction."),
    )
]


def _classify(path: str) -> Endpoint:
    return Endpoint(
        "POST", path, classify, "Label texts, pairs of texts or images", ClassifyRequest, ClassificationResponse,
        dict(_examples()), query_parameters=_QUERY, binary_media_types=IMAGE_TYPES,
    )  # fmt: skip


DIALECT = Dialect(
    "Classify",
    (
        _classify("/classify"),
        _classify("/v1/classify"),
        Endpoint("POST", "/predict", predict, "Label texts: text-embeddings-inference, Hugging Face", PredictRequest,
                 Labels, {"a pair": {"inputs": ["A lamp warns the ships.", "Ships are warned."]}}),
        Endpoint("POST", "/predict_tokens", predict_tokens, "Label the tokens of texts: Hugging Face, Baseten",
                 TokensRequest, TokenLabelsResponse, {"a text": {"inputs": "Sarah lives in London."}}),
        Endpoint("POST", "/ner", ner, "ner-transformers: find the entities of a text", NerRequest, NerResponse,
                 {"a text": {"text": "Sarah lives in London."}}),
    ),
    ClassificationError,
)  # fmt: skip
