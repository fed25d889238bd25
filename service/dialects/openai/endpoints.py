"""`POST /v1/embeddings` and `GET /v1/models`, extended with images, token ids and attention."""

from starlette.responses import Response

from service.dialects.described import PIXEL
from service.dialects.inputs import IMAGE_TYPES, is_image
from service.dialects.openai import answer, described
from service.dialects.openai.request import EmbeddingOptions, EmbeddingsRequest
from service.http import body, responses
from service.http.asked import Image
from service.http.described import ErrorResponse
from service.http.embedding import embed
from service.http.endpoints import Dialect, Endpoint
from service.http.exchange import Exchange

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
    ("attention", "string", "With an image as the body: true, false, or what to reduce to."),
    ("dimensions", "integer", "With an image as the body: keep the first dimensions only."),
    ("encoding_format", "string", "With an image as the body: float or base64."),
)


async def embeddings(request: Exchange) -> Response:
    """Texts, token ids and images, alone or mixed; an image can also be the body itself."""
    options: EmbeddingOptions
    if is_image(request):
        options = EmbeddingOptions.from_query(request.query_params)
        asked = options.asked([Image(await body.read(request))])
    else:
        options = found = await EmbeddingsRequest.read(request)
        asked = found.asked(found.inputs())
    return await answer.embeddings(options, await embed(request, asked))


async def models(request: Exchange) -> Response:
    """The served models and what they can do."""
    state = request.headlight
    return responses.json({"object": "list", "data": list(map(answer.model, state.models.values()))})


_QUERY = [
    {"name": name, "in": "query", "schema": {"type": type}, "description": description}
    for name, type, description in QUERY
]


async def model(request: Exchange) -> Response:
    """One of them."""
    state = request.headlight
    return responses.json(answer.model(state.model(request.path_params["model"])))


def _embeddings(path: str) -> Endpoint:
    return Endpoint(
        "POST", path, embeddings, "Embed texts or images, with their attention on request", EmbeddingsRequest,
        described.EmbeddingsResponse, EXAMPLES, query=_QUERY, files=IMAGE_TYPES,
    )  # fmt: skip


DIALECT = Dialect(
    "OpenAI",
    (
        _embeddings("/v1/embeddings"),
        Endpoint("GET", "/v1/models", models, "The served models", answer=described.ModelsResponse),
        Endpoint("GET", "/v1/models/{model}", model, "A served model", answer=described.ModelObject),
        _embeddings("/embeddings"),
    ),
    ErrorResponse,
)
