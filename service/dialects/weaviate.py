"""What Weaviate's modules ask of their inference containers: text2vec-transformers and multi2vec-clip.

Weaviate sends its own answer's fields along, empty; they are ignored as every unknown field is.
"""

from http import HTTPStatus
from typing import Annotated, ClassVar

from pydantic import BaseModel, Field, StrictStr
from starlette.responses import Response

from service.errors import EmptyInput
from service.http import problems, responses
from service.http.asked import Asked, Image
from service.http.described import PlainError
from service.http.embedding import embed
from service.http.endpoints import Dialect, Endpoint
from service.http.exchange import Exchange
from service.http.pieces import Numbers
from service.http.validation import Body, Dimensions
from service.runtime.encoder import AnyEncoder, TextEncoder
from service.state import State


class VectorConfig(BaseModel):
    """Of it `dimensions` counts, and `task_type` where the model has a prompt of that name; its pooling is its own."""

    pooling_strategy: StrictStr | None = None
    task_type: StrictStr | None = None
    dimensions: Dimensions | None = None


class VectorsRequest(Body):
    """`POST /vectors`"""

    LISTS: ClassVar[tuple[str, ...]] = ()

    text: StrictStr
    config: VectorConfig | None = None


class VectorsAnswer(BaseModel):
    """`dim` is what Weaviate's own container calls it, `dims` what Weaviate reads."""

    text: str
    vector: list[float]
    dim: int
    dims: int


class VectorizeRequest(Body):
    """`POST /vectorize`: images in base64."""

    LISTS: ClassVar[tuple[str, ...]] = ("texts", "images")
    INPUT: ClassVar[str] = "must be a list of strings"

    texts: Annotated[list[StrictStr], Field(fail_fast=True)] | None = None
    images: Annotated[list[StrictStr], Field(fail_fast=True)] | None = None


class VectorizeAnswer(BaseModel):
    textVectors: list[list[float]]  # noqa: N815  # Weaviate's spelling
    imageVectors: list[list[float]]  # noqa: N815


async def vectors(request: Exchange) -> Response:
    """text2vec-transformers: the vector of a text."""
    asked = await VectorsRequest.read(request)
    config = asked.config or VectorConfig()
    state = request.headlight
    encoder = state.first("text")
    known = encoder.prompts if isinstance(encoder, TextEncoder) else ()
    embedded = await embed(
        request,
        Asked(
            [asked.text],
            names=lambda _: "text",
            dimensions_name="config.dimensions",
            model=encoder.name,
            dimensions=config.dimensions,
            prompt=config.task_type if config.task_type in known else None,
        ),
    )
    vector = embedded.items[0].vector
    return responses.json({"text": asked.text, "vector": vector, "dim": len(vector), "dims": len(vector)})


async def vectorize(request: Exchange) -> Response:
    """multi2vec-clip: vectors of texts and images, of one space."""
    asked = await VectorizeRequest.read(request)
    texts, images = asked.texts or [], [Image(image) for image in asked.images or []]
    if not texts and not images:
        raise EmptyInput("there are neither texts nor images")
    state = request.headlight
    model = _of_both(state) or state.first("image" if images else "text")
    count = len(texts)

    def name(place: int) -> str:
        return f"texts[{place}]" if place < count else f"images[{place - count}]"

    found = (await embed(request, Asked([*texts, *images], model=model.name, names=name))).vectors
    return await responses.in_pieces({"textVectors": Numbers(found[:count]), "imageVectors": Numbers(found[count:])})


async def meta(request: Exchange) -> Response:
    """The model that texts go to, or pictures where none takes texts."""
    state = request.headlight
    encoders = sorted(state.models.values(), key=lambda encoder: encoder.manifest.modality != "text")
    manifest = encoders[0].manifest
    return responses.json(
        {"model": {"_name_or_path": manifest.name, "model_type": manifest.architecture,
                   "hidden_size": manifest.embedding.width}}
    )  # fmt: skip


async def ready(request: Exchange) -> Response:
    """204 when ready."""
    state = request.headlight
    state.check_ready()
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def live(request: Exchange) -> Response:
    """204 while the engine is at work."""
    state = request.headlight
    state.check_alive()
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _of_both(state: State) -> AnyEncoder | None:
    """The first image model whose space a text model shares: texts and images go to these two."""
    images = (encoder for encoder in state.models.values() if encoder.manifest.modality == "image")
    return next((encoder for encoder in images if state.of_space(encoder, "text")), None)


_TEXT = {"a text": {"text": "A lamp.", "config": {"pooling_strategy": "masked_mean", "task_type": "passage"}}}

DIALECT = Dialect(
    "Weaviate",
    (
        Endpoint("POST", "/vectors", vectors, "text2vec-transformers: embed a text", VectorsRequest, VectorsAnswer,
                 _TEXT),
        Endpoint("POST", "/vectors/", vectors, "text2vec-transformers: embed a text", VectorsRequest, VectorsAnswer,
                 _TEXT),
        Endpoint("POST", "/vectorize", vectorize, "multi2vec-clip: embed texts and images", VectorizeRequest,
                 VectorizeAnswer, {"texts": {"texts": ["A lamp.", "The sea."]}}),
        Endpoint("GET", "/meta", meta, "The model that is meant", keyless=True),
        Endpoint("GET", "/.well-known/ready", ready, "Is it ready?", keyless=True, probe=True,
                 status=HTTPStatus.NO_CONTENT, content={}),
        Endpoint("GET", "/.well-known/live", live, "Is the engine at work?", keyless=True, probe=True,
                 status=HTTPStatus.NO_CONTENT, content={}),
    ),
    PlainError,
    problems.plain,
)  # fmt: skip
