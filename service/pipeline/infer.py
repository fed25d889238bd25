"""The use case: select models, preprocess, queue, wait, finish."""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from models.artifact.arrays import Floats
from models.preprocess.model_input import ModelInput, TextPair
from service.app_state import AppState
from service.engine.items import EngineRequest, Timing
from service.engine.plan import AttentionPlan, TokenEmbeddingPlan
from service.engine.positions import PositionError, Positions, TextSpan, resolve_positions
from service.errors import (
    AttentionTooLarge,
    ContextLengthExceeded,
    InvalidInput,
    InvalidParameter,
    TooManyInputs,
    UrlNotAllowed,
)
from service.pipeline import preprocess
from service.pipeline.types import Image, InferenceRequest, InferenceResult, Input, InputResult, TokenIds, modality
from service.runtime.encoder import AnyEncoder, TextEncoder
from service.settings import Settings


class AttentionSizeLimits:
    """Of one request, whose inputs several models may answer: what they add up to is bounded. Each part may tell from
    a thread of its own, and again when more of its items are known.
    """

    def __init__(self, settings: Settings, num_sub_requests: int) -> None:
        self._max_bytes = settings.max_attention_bytes
        self._max_workspace_bytes = settings.attention_workspace_bytes
        self._attention_bytes = [0] * num_sub_requests
        self._token_embedding_bytes = [0] * num_sub_requests

    def check_attention(self, index: int, plan: AttentionPlan, items: Sequence[ModelInput], *, texts: bool) -> None:
        """Raise AttentionTooLarge if the attention exceeds a limit."""
        self._attention_bytes[index] = _response_bytes(plan, items)
        hint = "reduce=rollout returns one weight per token or patch"
        self._check_limit(sum(self._attention_bytes), "attention", hint, "attention")
        self._check_workspace(plan, max(item.num_tokens for item in items), texts)

    def check_token_embeddings(self, index: int, plan: TokenEmbeddingPlan, items: Sequence[ModelInput]) -> None:
        """Raise AttentionTooLarge if the token embeddings exceed the limit."""
        self._token_embedding_bytes[index] = _response_bytes(plan, items)
        self._check_limit(sum(self._token_embedding_bytes), "token embeddings", "send fewer or shorter inputs")

    def _check_limit(self, size: int, what: str, hint: str, param: str | None = None) -> None:
        if size > self._max_bytes:
            message = f"requested {what}: at least {size} bytes, limit {self._max_bytes}; {hint}"
            raise AttentionTooLarge(message, param)

    def _check_workspace(self, plan: AttentionPlan, n: int, texts: bool) -> None:
        """One item need not hold gigabytes to answer with a few numbers; batches are bounded by themselves."""
        size, max_bytes = plan.workspace_bytes(n), self._max_workspace_bytes
        if size > max_bytes:
            message = f"computing attention over {n} positions takes {size} bytes, limit {max_bytes}"
            shorter_hint = f"send at most {plan.max_positions(n, max_bytes)} tokens, or " if texts else ""
            raise AttentionTooLarge(
                f"{message}; {shorter_hint}call /v1/embeddings with reduce=raw with fewer layers and heads", "attention"
            )


def _response_bytes(plan: AttentionPlan | TokenEmbeddingPlan, items: Sequence[ModelInput]) -> int:
    return sum(plan.response_bytes(item.num_tokens) for item in items)


WEB_URL = re.compile(r"\s*https?://\S+\s*\Z", re.IGNORECASE)
ENCODED_IMAGE = re.compile(r"\s*(data:image/[^,\s]{0,200},|iVBORw0KGgo|/9j/[A-Za-z0-9+/]|UklGR[A-Za-z0-9+/]{3})")
"""Texts that are images: a data URI, or base64 that begins as a PNG, JPEG or WebP file does."""

_QUERY, _DOCUMENT = ("query",), ("document", "passage")
PROMPTS_BY_PURPOSE: Mapping[str, Sequence[str]] = {
    "search_query": _QUERY, "retrieval.query": _QUERY, "search_document": _DOCUMENT, "retrieval.passage": _DOCUMENT,
    "passage": _DOCUMENT, "document": _DOCUMENT,
}  # fmt: skip
"""Names of prompts for the purposes that clients of Cohere, Jina and NVIDIA NIM send."""

ESTIMATED_CHARS_PER_TOKEN = 5
"""Approximate characters per token of prose. By this estimate, requests without room in the queue are refused before
tokenization, which halves the cost of a refusal; a text of longer words may be refused slightly early."""


async def infer(
    state: AppState, inference_request: InferenceRequest, deadline: float, engine_requests: list[EngineRequest]
) -> InferenceResult:
    """Run a request without HTTP.

    Appends to `engine_requests`; the caller must call `engine.on_response_sent()` for each after sending the response.
    """
    count, max_inputs = len(inference_request.inputs), state.settings.max_client_batch_size
    if count > max_inputs:
        raise TooManyInputs(
            f"too many inputs: {count} (maximum {max_inputs})", inference_request.input_path(max_inputs)
        )
    if inference_request.task == "embed":
        _reject_pairs(inference_request)
    encoder = state.models.select(
        inference_request.model, modality(inference_request.inputs[0]), inference_request.task
    )
    groups = _group_by_model(state, encoder, inference_request)
    state.engine.check_capacity(
        encoder.name,
        count,
        sum(_estimate_tokens(inference_request.inputs[i], of) for of, places in groups for i in places),
    )
    size_limits = AttentionSizeLimits(state.settings, len(groups))
    sub_requests = [
        _ModelSubRequest(state, of, inference_request, places, deadline, (size_limits, i))
        for i, (of, places) in enumerate(groups)
    ]
    engine_requests += [part.engine_request for part in sub_requests]
    outputs = await sub_requests[0].outputs() if len(sub_requests) == 1 else await _run_all(sub_requests, count)
    return InferenceResult(encoder, outputs, Timing.merge([part.engine_request for part in sub_requests]))


def text_encoder(state: AppState, name: str | None) -> TextEncoder:
    """Return the named model, or the first that accepts texts. Raises InvalidInput, ModelNotFound or NotReady."""
    encoder = state.models.default("text") if name is None else state.models.get(name)
    if not isinstance(encoder, TextEncoder):
        raise InvalidInput("this model accepts images, not texts", "model")
    return encoder


def _estimate_tokens(value: Input, encoder: AnyEncoder) -> int:
    """Estimate the tokens of an input before preprocessing; every image of a model has the same number of positions."""
    if isinstance(value, Image):
        return encoder.max_positions
    length = (
        len(value.ids) if isinstance(value, TokenIds) else preprocess.num_characters(value) // ESTIMATED_CHARS_PER_TOKEN
    )
    return min(max(1, length), encoder.max_positions)


def check_prompt(encoder: TextEncoder, name: str | None) -> None:
    """Raise InvalidParameter for a prompt that the model does not have."""
    known = encoder.prompts
    if name is not None and name not in known:
        hint = f"available: {', '.join(known)}" if known else "this model has no prompts"
        raise InvalidParameter(f"unknown prompt; {hint}", "prompt_name")


def prompt_for_purpose(encoder: TextEncoder, purpose: str) -> str | None:
    """Return the model's prompt for a purpose; None for a model without prompts. Raises InvalidParameter."""
    known = encoder.prompts
    if not known:
        return None
    for name in (purpose, *PROMPTS_BY_PURPOSE.get(purpose, ())):
        if name in known:
            return name
    raise InvalidParameter(f"the model has no prompt for this purpose; available: {', '.join(known)}", "input_type")


def _group_by_model(
    state: AppState, encoder: AnyEncoder, inference_request: InferenceRequest
) -> list[tuple[AnyEncoder, Sequence[int]]]:
    """Group the inputs by model: inputs of the other modality are routed to the model with the same embedding space."""
    modalities = [modality(value) for value in inference_request.inputs]
    if modalities.count(encoder.manifest.modality) == len(modalities):
        return [(encoder, range(len(modalities)))]
    groups = {}
    for kind in dict.fromkeys(modalities):
        indices = [i for i, found in enumerate(modalities) if found == kind]
        target = state.models.sibling(encoder, kind) if inference_request.task == "embed" else None
        if target is None:
            accepted = "texts, not images" if kind == "image" else "images, not texts"
            raise InvalidInput(f"this model accepts {accepted}", inference_request.input_path(indices[0]))
        if encoder.manifest.modality == "image":
            _reject_images_as_texts(inference_request, indices)
        groups[target.name] = target, indices
    return list(groups.values())


def _reject_pairs(inference_request: InferenceRequest) -> None:
    """Reject pairs to embed: they are one input to models with a head only."""
    for i, value in enumerate(inference_request.inputs):
        if isinstance(value, TextPair):
            raise InvalidInput(
                "a pair of texts is read by models with a head, not embedded", inference_request.input_path(i)
            )


def _reject_images_as_texts(inference_request: InferenceRequest, indices: Sequence[int]) -> None:
    """Reject texts for an image model that are images by mistake: their text would be embedded."""
    for index in indices:
        value = inference_request.inputs[index]
        if isinstance(value, str):
            reject_encoded_image(value, inference_request.input_path(index))


def reject_encoded_image(text: str, param: str) -> None:
    """Raise UrlNotAllowed for a text that is a URL, InvalidInput for one that is an image in base64."""
    if WEB_URL.match(text):
        raise UrlNotAllowed("image URLs are not fetched; send the file as base64", param)
    if ENCODED_IMAGE.match(text):
        raise InvalidInput(
            'the text is an image in base64; send it as {"image": ...}, or with "modality": "image"', param
        )


async def _run_all(sub_requests: "Sequence[_ModelSubRequest]", count: int) -> list[InputResult]:
    """Run all parts concurrently; the first failure fails the request and cancels the other parts."""
    tasks = [asyncio.ensure_future(part.outputs()) for part in sub_requests]
    try:
        results = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)  # their reservation lasts until they have left the queue
    outputs: dict[int, InputResult] = {}
    for part, items in zip(sub_requests, results, strict=True):
        outputs.update(zip(part.input_indices, items, strict=True))
    return [outputs[place] for place in range(count)]


class _ModelSubRequest:
    """Part of a request for one model: the inputs at `input_indices`."""

    def __init__(
        self,
        state: AppState,
        encoder: AnyEncoder,
        inference_request: InferenceRequest,
        input_indices: Sequence[int],
        deadline: float,
        size_limits: tuple[AttentionSizeLimits, int],
    ) -> None:
        """`size_limits` are the request's, and which of its parts this is. Raises InvalidParameter for what this model
        does not have."""
        width = encoder.manifest.embedding.dim
        if inference_request.dimensions is not None and inference_request.dimensions > width:
            raise InvalidParameter(f"dimensions must be between 1 and {width}", inference_request.dimensions_param)
        if isinstance(encoder, TextEncoder):
            if inference_request.purpose is not None and inference_request.prompt is None:
                inference_request = replace(
                    inference_request, prompt=prompt_for_purpose(encoder, inference_request.purpose)
                )
            check_prompt(encoder, inference_request.prompt)
        self.input_indices = input_indices
        self.engine_request: EngineRequest = state.engine.create_request(deadline=deadline)
        self._state = state
        self._encoder = encoder
        self._inference_request = inference_request
        attention_skipped = inference_request.attention_optional and encoder.manifest.attention is None
        self._attention_plan = (
            inference_request.attention.plan(encoder.manifest)
            if inference_request.attention and not attention_skipped
            else None
        )
        self._token_plan = TokenEmbeddingPlan(width) if inference_request.return_token_embeddings else None
        self._size_limits, self._index = size_limits
        self._num_checked = 0

    async def outputs(self) -> list[InputResult]:
        """Preprocess, run and postprocess the inputs."""
        await preprocess.preprocess(
            self._state,
            self._encoder,
            self._inference_request,
            self.input_indices,
            self.engine_request,
            self._check_lengths,
            self._submit,
        )
        results = await self._state.engine.results(self.engine_request)
        outputs: Iterable[Floats] = (result.output for result in results)
        if self._inference_request.task == "embed":
            outputs = self._encoder.postprocess(
                np.array([result.output for result in results]),
                self._inference_request.dimensions,
                normalize=self._inference_request.normalize,
            )
        return [
            InputResult(self._encoder, prepared, output, result.attention, result.token_embeddings)
            for prepared, output, result in zip(self.engine_request.prepared, outputs, results, strict=True)
        ]

    def _submit(self, items: Sequence[ModelInput]) -> None:
        self._state.engine.submit(
            self.engine_request,
            self._encoder.name,
            items,
            self._attention_plan,
            token_embeddings=self._token_plan,
            sparse_tokens=self._inference_request.return_sparse_tokens,
        )

    def _check_lengths(self, items: Sequence[ModelInput]) -> None:
        """Check limits that depend on lengths, possibly of only the first items so far."""
        if not self._inference_request.truncate:
            self._reject_truncated(items)
        if self._inference_request.max_tokens is not None and isinstance(self._encoder, TextEncoder):
            self._reject_longer(items, self._inference_request.max_tokens)
        if self._attention_plan:
            _check_query(self._attention_plan, items[self._num_checked :])
            self._num_checked = len(items)
            texts = isinstance(self._encoder, TextEncoder)
            self._size_limits.check_attention(self._index, self._attention_plan, items, texts=texts)
        if self._token_plan:
            self._size_limits.check_token_embeddings(self._index, self._token_plan, items)

    def _reject_truncated(self, items: Sequence[ModelInput]) -> None:
        for index, item in zip(self.input_indices, items, strict=False):
            if item.truncated:
                message = f"the text has more than {item.num_tokens} tokens"
                raise ContextLengthExceeded(message, self._inference_request.input_path(index))

    def _reject_longer(self, items: Sequence[ModelInput], max_tokens: int) -> None:
        for index, item in zip(self.input_indices, items, strict=False):
            if item.num_tokens > max_tokens and not self._inference_request.truncate:
                raise ContextLengthExceeded(
                    f"the text has more than {max_tokens} tokens", self._inference_request.input_path(index)
                )
            if item.num_tokens > max_tokens:
                message = f"texts are truncated at {self._encoder.max_positions} tokens only; one exceeds {max_tokens}"
                raise InvalidParameter(message, "max_tokens")


def _check_query(plan: AttentionPlan, items: Sequence[ModelInput]) -> None:
    """Raise InvalidParameter for positions, or words, that an item does not have."""
    for param, positions in (("query", plan.query), ("keys", plan.keys)):
        if isinstance(positions, tuple | TextSpan):
            _check_positions(plan, positions, items, f"attention.{param}")
    if not (plan.words or isinstance(plan.query, int)):
        return
    lengths = [count for item in items if (count := plan.num_entries(item)) is not None]
    if len(lengths) < len(items):
        raise InvalidParameter("units=words does not apply to token ids; send the text", "attention.units")
    if isinstance(plan.query, int) and plan.query >= min(lengths):
        unit = "words" if plan.words else "positions"
        raise InvalidParameter(
            f"query {plan.query} is out of range: the input has {min(lengths)} {unit}", "attention.query"
        )


def _check_positions(plan: AttentionPlan, positions: Positions, items: Sequence[ModelInput], param: str) -> None:
    for item in items:
        try:
            resolved = resolve_positions(positions, item, words=plan.words)
        except PositionError as error:
            raise InvalidParameter(str(error), param) from None
        count = plan.num_entries(item)
        if count is not None and len(resolved) and int(resolved.max()) >= count:
            raise InvalidParameter(f"{resolved.max()} is out of range: the input has {count} positions", param)
