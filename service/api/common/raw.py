"""Embeddings as raw bytes, for clients that accept them rather than JSON."""

from starlette.responses import Response

from service.http.body import JSON
from service.http.request import HttpRequest, preferred_media_type
from service.pipeline.types import InferenceResult

RAW = "application/octet-stream"


def accepts_raw(request: HttpRequest) -> bool:
    """Return whether the client prefers raw vectors to JSON."""
    accept = request.header_values.get("accept", "")
    return RAW in accept.lower() and preferred_media_type(accept, (JSON, RAW)) == RAW


def raw_response(result: InferenceResult) -> Response:
    """Return the embeddings row by row as little-endian float32, their shape and how many inputs were truncated
    in headers."""
    vectors = result.embeddings
    headers = {
        "Vary": "Accept",
        "X-Shape": ",".join(map(str, vectors.shape)),
        "X-Truncated": str(sum(item.prepared.truncated for item in result.outputs)),
    }
    return Response(vectors.astype("<f4", copy=False).tobytes(), media_type=RAW, headers=headers)
