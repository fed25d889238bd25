"""The use case of scoring: how relevant documents are to queries.

A cross-encoder reads each pair of query and document as one input. A model that embeds answers by the cosine of their
embeddings, each behind the model's prompt for it, if it has one.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.artifact.arrays import Floats
from models.preprocess.model_input import TextPair
from models.preprocess.text import KeptSide
from service.app_state import AppState
from service.engine.items import EngineRequest, Timing
from service.engine.plan import AttentionOptions
from service.errors import InvalidParameter, TaskNotSupported, TooManyInputs
from service.pipeline.infer import infer
from service.pipeline.scores import activate
from service.pipeline.types import InferenceRequest, InferenceResult, Input, InputResult
from service.runtime.encoder import AnyEncoder, TextEncoder

Scoring = Literal["cross-encoder", "cosine"]
"""What a score is: the head's answer to a pair of texts, or the similarity of two embeddings."""

Scale = Literal["logit", "model", "probability"]
"""Scale of a cross-encoder's scores: as computed, by the model's own activation, or from 0 to 1 by a sigmoid."""


_PROMPTS = {"query": ("query",), "document": ("document", "passage")}
"""Names of the prompts of a model that embeds, for what it embeds."""


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """Request to score each of `documents` for the query at the same index, or for the only one.

    `max_document_tokens` cuts each document; further options are those of `InferenceRequest`. `query_path` and
    `document_path` are the API's names for an input, used in errors.
    """

    queries: Sequence[str]
    documents: Sequence[str]
    model: str | None = None
    truncate: bool = True
    kept: KeptSide = "start"
    max_document_tokens: int | None = None
    attention: AttentionOptions | None = None
    query_path: Callable[[int], str] = lambda _: "query"
    document_path: Callable[[int], str] = "documents[{}]".format

    def __post_init__(self) -> None:
        if len(self.queries) not in (1, len(self.documents)):
            raise ValueError("there must be one query, or one for each document")

    def query_of(self, document: int) -> int:
        """Return the index of the query that a document is scored for."""
        return document if len(self.queries) > 1 else 0


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """Scores in the order of the documents, `[b]` as computed.

    `outputs` are the results of the pairs; of the queries, then the documents where those were embedded.
    """

    encoder: AnyEncoder
    scoring: Scoring
    values: Floats
    outputs: Sequence[InputResult]
    timing: Timing

    @property
    def num_inputs(self) -> int:
        return len(self.outputs)

    @property
    def num_tokens(self) -> int:
        """Tokens that were computed."""
        return sum(output.prepared.num_tokens for output in self.outputs)

    @property
    def truncated(self) -> list[bool]:
        """Return whether each document, or its query, went on past the limit."""
        return [output.prepared.truncated for output in self.outputs[-len(self.values) :]]

    def scores(self, scale: Scale) -> Floats:
        """Return the scores `[b]`; a cosine has one scale."""
        if self.scoring == "cosine" or scale == "logit":
            return self.values
        head = self.encoder.manifest.head
        own = head.activation if head and scale == "model" else "sigmoid"
        return activate(self.values, "sigmoid" if own == "softmax" else own)  # of one label, which softmax makes 1

    def order(self, top_n: int | None = None) -> list[int]:
        """Return the indices of the documents, the most relevant first, `top_n` at most."""
        indices: list[int] = np.argsort(-self.values, kind="stable")[:top_n].tolist()
        return indices


async def score(
    state: AppState, request: ScoreRequest, deadline: float, engine_requests: list[EngineRequest]
) -> ScoreResult:
    """Score without HTTP, as `service.pipeline.infer.infer` runs a request."""
    count, max_inputs = len(request.documents), state.settings.max_client_batch_size
    if count > max_inputs:
        raise TooManyInputs(f"too many documents: {count} (maximum {max_inputs})", request.document_path(max_inputs))
    encoder = scoring_encoder(state, request.model)
    if "rerank" in encoder.manifest.tasks:
        return await _score_pairs(state, encoder, request, deadline, engine_requests)
    if request.attention is not None:
        raise InvalidParameter(
            f"{encoder.name} embeds each text by itself, so no attention is between them; /v1/attention/match tells "
            "what two texts have in common",
            "attention",
        )
    return await _score_embeddings(state, encoder, request, deadline, engine_requests)


def scoring_encoder(state: AppState, name: str | None) -> TextEncoder:
    """Return the named model, or the first cross-encoder, else the first that embeds texts.

    Raises TaskNotSupported for a model that can do neither, ModelNotFound or NotReady.
    """
    if name is None:
        reranks = any("rerank" in encoder.manifest.tasks for encoder in state.models)
        encoder = state.models.default("text", "rerank" if reranks else "embed")
    else:
        encoder = state.models.get(name)
    if isinstance(encoder, TextEncoder) and {"rerank", "embed"} & {*encoder.manifest.tasks}:
        return encoder
    able = [each.name for each in state.models if each.manifest.text and {"rerank", "embed"} & {*each.manifest.tasks}]
    raise TaskNotSupported(
        f"{encoder.name} cannot score texts, only {', '.join(encoder.manifest.tasks)}"
        + (" images" if encoder.manifest.image else "")
        + (f"; models that can: {', '.join(able)}" if able else ""),
        "model",
    )


async def _score_pairs(
    state: AppState,
    encoder: TextEncoder,
    request: ScoreRequest,
    deadline: float,
    engine_requests: list[EngineRequest],
) -> ScoreResult:
    pairs = [TextPair(request.queries[request.query_of(i)], document) for i, document in enumerate(request.documents)]
    result = await infer(
        state,
        InferenceRequest(
            pairs,
            model=encoder.name,
            task="rerank",
            truncate=request.truncate,
            kept=request.kept,
            max_document_tokens=request.max_document_tokens,
            attention=request.attention,
            input_path=request.document_path,
        ),
        deadline,
        engine_requests,
    )
    values = np.array([output.output[0] for output in result.outputs], dtype=np.float32)
    return ScoreResult(encoder, "cross-encoder", values, result.outputs, result.timing)


async def _score_embeddings(
    state: AppState,
    encoder: TextEncoder,
    request: ScoreRequest,
    deadline: float,
    engine_requests: list[EngineRequest],
) -> ScoreResult:
    requests: list[EngineRequest] = []

    def embed(texts: Sequence[str], purpose: str, path: Callable[[int], str]) -> "asyncio.Future[InferenceResult]":
        inputs: Sequence[Input] = texts
        prompt = next((name for name in _PROMPTS[purpose] if name in encoder.prompts), None)
        inference_request = InferenceRequest(
            inputs,
            model=encoder.name,
            normalize=True,
            truncate=request.truncate,
            kept=request.kept,
            prompt=prompt,
            input_path=path,
        )
        return asyncio.ensure_future(infer(state, inference_request, deadline, requests))

    tasks = [
        embed(request.queries, "query", request.query_path),
        embed(request.documents, "document", request.document_path),
    ]
    try:
        queries, documents = await asyncio.gather(*tasks)
    finally:
        engine_requests += requests
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)  # their reservation lasts until they have left the queue
    values = np.einsum(
        "be,be->b", np.broadcast_to(queries.embeddings, documents.embeddings.shape), documents.embeddings
    )
    outputs = [*queries.outputs, *documents.outputs]
    return ScoreResult(encoder, "cosine", values, outputs, Timing.merge(requests))
