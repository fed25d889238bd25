"""What `bentoml.SyncHTTPClient` calls: the API named `encode` of the BentoML service.

BentoML describes it (`/schema.json`, made of the service's class); the answer comes from here, with the bounds and the
errors of every other dialect.
"""

import time
from typing import ClassVar

from pydantic import StrictStr
from starlette.responses import Response

from service.dialects.inputs import Strings, Vectors
from service.http import responses
from service.http.asked import Asked
from service.http.described import ErrorResponse
from service.http.embedding import embed, embed_for
from service.http.endpoints import Dialect, Endpoint
from service.http.exchange import Exchange
from service.http.pieces import Numbers
from service.http.validation import Body, Dimensions
from service.state import State

NAMES = "texts[{}]".format


class EncodeRequest(Body):
    """`POST /encode`"""

    LISTS: ClassVar[tuple[str, ...]] = ("texts",)

    texts: Strings
    model: StrictStr | None = None
    dimensions: Dimensions | None = None


async def encode(request: Exchange) -> Response:
    """Vectors of texts."""
    found = await EncodeRequest.read(request)
    embedded = await embed(request, Asked(found.texts, model=found.model, dimensions=found.dimensions, names=NAMES))
    return await responses.in_pieces(Numbers(embedded.vectors))


async def encoded(state: State, texts: list[str], model: str | None, dimensions: int | None) -> list[list[float]]:
    """The same for who asks in the same process. Raises HeadlightError."""
    fields = {"texts": texts, "model": model, "dimensions": dimensions}
    found = EncodeRequest.parse(fields, state.settings.max_items)
    deadline = time.monotonic() + state.settings.request_timeout_ms / 1000
    asked = Asked(found.texts, model=found.model, dimensions=found.dimensions, names=NAMES)
    embedded = await embed_for(state, asked, deadline, [])  # of vectors alone nothing is promised
    return [item.vector.tolist() for item in embedded.items]


DIALECT = Dialect(
    "BentoML",
    (
        Endpoint("POST", "/encode", encode, "Embed texts", EncodeRequest, Vectors,
                 {"two texts": {"texts": ["A lamp.", "The sea."]}}),
    ),
    ErrorResponse,
)  # fmt: skip
