"""Embedding for an HTTP request: its deadline, its record, and cancellation when the client disconnects."""

from service.engine.items import EngineRequest
from service.http.request import CancelOnDisconnect, HttpRequest, request_deadline
from service.pipeline.embed import embed
from service.pipeline.types import EmbedRequest, EmbedResult


async def embed_http(request: HttpRequest, embed_request: EmbedRequest) -> EmbedResult:
    """Embed. Raises BadRequestError, ModelNotFound, Unavailable, InferenceFailed, or ClientDisconnect."""
    state = request.app_state
    if embed_request.model is not None:
        request.record.model = state.models.get(embed_request.model).name
    deadline = request_deadline(request, state.settings.queue_timeout_ms)
    request.engine_requests = engine_requests = list[EngineRequest]()
    async with CancelOnDisconnect(request):
        result = await embed(state, embed_request, deadline, engine_requests)
    record = request.record
    record.model, record.timing = result.encoder.name, result.timing
    record.num_inputs, record.num_tokens = len(result.outputs), result.num_tokens
    return result
