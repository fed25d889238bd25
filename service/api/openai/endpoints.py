"""`POST /v1/embeddings` and `GET /v1/models`, extended with images, token ids and attention."""

from starlette.responses import Response

from service.api.common.inputs import IMAGE_TYPES, is_image
from service.api.common.schemas import PIXEL
from service.api.openai import response, schemas
from service.api.openai.request import EmbeddingOptions, EmbeddingsRequest
from service.http import body, responses
from service.http.endpoints import Dialect, Endpoint
from service.http.error_responses import ErrorResponse
from service.http.request import HttpRequest
from service.pipeline.embed import embed_http
from service.pipeline.types import Image

EXAMPLES = {
    "one text": {"model": "all-MiniLM-L6-v2", "input": "A lighthouse keeper reads by the lamp."},
    "attention": {"model": "all-MiniLM-L6-v2", "input": ["A lighthouse keeper reads."], "attention": True},
    "token ids": {"model": "all-MiniLM-L6-v2", "input": [[101, 1037, 10437, 102]], "encoding_format": "base64"},
    "raw attention": {"model": "all-MiniLM-L6-v2", "input": "A lamp.", "attention": {"reduce": "raw", "layers": [5]}},
    "an image and a text": {
        "model": "scenes-vit",
        "input": [{"image": PIXEL}, {"text": "A red star."}],
    },
}

QUERY = (
    ("model", "string", "With an image as the body: the model."),
    ("attention", "string", "With an image as the body: true, false, or a reduction."),
    ("dimensions", "integer", "With an image as the body: keep the first dimensions only."),
    ("encoding_format", "string", "With an image as the body: float or base64."),
)


async def embeddings(request: HttpRequest) -> Response:
    """Texts, token ids and images, alone or mixed; an image can also be the body itself."""
    options: EmbeddingOptions
    if is_image(request):
        options = EmbeddingOptions.from_query(request.query_params)
        embed_request = options.to_embed_request([Image(await body.read_body(request))])
    else:
        options = payload = await EmbeddingsRequest.read(request)
        embed_request = payload.to_embed_request(payload.inputs())
    return await response.embeddings(options, await embed_http(request, embed_request))


async def models(request: HttpRequest) -> Response:
    """List the served models and their properties."""
    state = request.app_state
    return responses.json_response({"object": "list", "data": list(map(response.model, state.models.values()))})


_QUERY = [
    {"name": name, "in": "query", "schema": {"type": type}, "description": description}
    for name, type, description in QUERY
]


async def model(request: HttpRequest) -> Response:
    """One of them."""
    state = request.app_state
    return responses.json_response(response.model(state.get_model(request.path_params["model"])))


def _embeddings(path: str) -> Endpoint:
    return Endpoint(
        "POST", path, embeddings, "Embed texts or images, with their attention on request", EmbeddingsRequest,
        schemas.EmbeddingsResponse, EXAMPLES, query_parameters=_QUERY, binary_media_types=IMAGE_TYPES,
    )  # fmt: skip


DIALECT = Dialect(
    "OpenAI",
    (
        _embeddings("/v1/embeddings"),
        Endpoint("GET", "/v1/models", models, "Served models", response_model=schemas.ModelsResponse),
        Endpoint("GET", "/v1/models/{model}", model, "Served model", response_model=schemas.ModelObject),
        _embeddings("/embeddings"),
    ),
    ErrorResponse,
)
