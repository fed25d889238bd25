"""BentoML's API `encode`, as `bentoml.SyncHTTPClient` calls it.

BentoML describes it (`/schema.json`, from the service's class); the response comes from here, with the limits and
errors of every other API.
"""

import time
from typing import ClassVar

from pydantic import StrictStr
from starlette.responses import Response

from service.api.common.inputs import Strings, Vectors
from service.app_state import AppState
from service.http import responses
from service.http.endpoints import Dialect, Endpoint
from service.http.error_responses import ErrorResponse
from service.http.request import HttpRequest, infer_http
from service.http.responses import JsonArray
from service.http.validation import Dimensions, RequestModel
from service.pipeline.infer import infer
from service.pipeline.types import InferenceRequest

INPUT_PATH = "texts[{}]".format


class EncodeRequest(RequestModel):
    """`POST /encode`"""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ("texts",)

    texts: Strings
    model: StrictStr | None = None
    dimensions: Dimensions | None = None


async def encode(request: HttpRequest) -> Response:
    """Vectors of texts."""
    payload = await EncodeRequest.read(request)
    result = await infer_http(
        request,
        InferenceRequest(payload.texts, model=payload.model, dimensions=payload.dimensions, input_path=INPUT_PATH),
    )
    return await responses.streaming_json(JsonArray(result.embeddings))


async def encode_in_process(
    state: AppState, texts: list[str], model: str | None, dimensions: int | None
) -> list[list[float]]:
    """Embed texts for a caller in the same process. Raises HeadlightError."""
    fields = {"texts": texts, "model": model, "dimensions": dimensions}
    payload = EncodeRequest.parse(fields, state.settings.max_client_batch_size)
    deadline = time.monotonic() + state.settings.queue_timeout_ms / 1000
    inference_request = InferenceRequest(
        payload.texts, model=payload.model, dimensions=payload.dimensions, input_path=INPUT_PATH
    )
    result = await infer(state, inference_request, deadline, [])  # responses without attention reserve no memory
    return [item.output.tolist() for item in result.outputs]


DIALECT = Dialect(
    "BentoML",
    (
        Endpoint("POST", "/encode", encode, "Embed texts", EncodeRequest, Vectors,
                 {"two texts": {"texts": ["A lamp.", "The sea."]}}),
    ),
    ErrorResponse,
)  # fmt: skip
