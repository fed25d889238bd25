"""Responses of the OpenAI API: embeddings, and attention aligned to the client's own text or image."""

from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from service.api.common import attention_response
from service.api.openai.request import EmbeddingOptions
from service.http import responses
from service.http.responses import CHUNK_BYTES, JSON_NUMBER_BYTES, StreamedList, to_base64
from service.pipeline.types import EmbedResult
from service.runtime.encoder import AnyEncoder

ENTRY_BYTES = 100
"""JSON bytes per entry, without the vector."""


async def embeddings(options: EmbeddingOptions, result: EmbedResult) -> Response:
    """Return the response of `/v1/embeddings`."""

    def entries() -> Iterator[dict[str, Any]]:
        for i, item in enumerate(result.outputs):
            vector = to_base64(item.embedding, "<f4") if options.encoding_format == "base64" else item.embedding
            entry = {"object": "embedding", "index": i, "embedding": vector, "truncated": item.prepared.truncated}
            if options.attention is not None and item.attention is not None:
                entry["attention"] = attention_response.attention_object(options.attention, item.attention, item)
            yield entry

    usage = {"prompt_tokens": result.num_tokens, "total_tokens": result.num_tokens}
    size = result.num_values * JSON_NUMBER_BYTES + len(result.outputs) * ENTRY_BYTES
    unstreamed = options.attention is None and size <= CHUNK_BYTES
    data = list(entries()) if unstreamed else StreamedList(entries())
    response = {"object": "list", "model": result.encoder.name, "data": data, "usage": usage}
    return responses.json_response(response) if unstreamed else await responses.streaming_json(response)


def model(encoder: AnyEncoder) -> dict[str, Any]:
    """One entry of `/v1/models`."""
    manifest = encoder.manifest
    image, attention = manifest.image, manifest.attention
    return {
        "id": manifest.name,
        "object": "model",
        "created": 0,
        "owned_by": "headlight",
        "modality": manifest.modality,
        "architecture": manifest.architecture,
        "dimensions": manifest.embedding.dim,
        "space": manifest.embedding.space,
        "max_tokens": manifest.text.max_tokens if manifest.text else None,
        "image": {"rows_px": image.height_px, "columns_px": image.width_px} if image else None,
        "grid": attention_response.grid_info(image) if image else None,
        "pooling": manifest.embedding.pooling,
        "precision": manifest.precision,
        "attention": {"layers": attention.num_layers, "heads": _heads(attention.heads)} if attention else None,
        "provider": encoder.provider,
    }


def _heads(heads: tuple[int, ...]) -> int | tuple[int, ...]:
    return heads[0] if len(set(heads)) == 1 else heads
