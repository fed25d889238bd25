"""From results to the OpenAI dialect's answers: vectors, and attention aligned to the caller's own text or image."""

from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response

from models.contract.arrays import Floats
from models.contract.manifest import ImageSpec
from models.preprocess.image import Picture
from models.preprocess.tokens import Tokens
from service.dialects.openai.request import AttentionRequest, EmbeddingOptions
from service.http import pieces
from service.http.asked import Embedded, Item
from service.http.pieces import base64_of
from service.runtime.encoder import AnyEncoder

PX_DECIMALS = 2


async def embeddings(options: EmbeddingOptions, embedded: Embedded) -> Response:
    """The answer of `/v1/embeddings`."""

    async def entries() -> AsyncIterator[dict[str, Any]]:
        for i, item in enumerate(embedded.items):
            vector = base64_of(item.vector, "<f4") if options.encoding_format == "base64" else item.vector
            entry = {"object": "embedding", "index": i, "embedding": vector, "truncated": item.prepared.truncated}
            if options.attention is not None and item.attention is not None:
                entry["attention"] = await _attention(options.attention, item.attention, item)
            yield entry

    data = await pieces.listed(entries())
    usage = {"prompt_tokens": embedded.positions, "total_tokens": embedded.positions}
    return pieces.json({"object": "list", "model": embedded.encoder.name, "data": data, "usage": usage})


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
        "dimensions": manifest.embedding.width,
        "space": manifest.embedding.space,
        "max_tokens": manifest.text.max_tokens if manifest.text else None,
        "image": {"rows_px": image.rows_px, "columns_px": image.columns_px} if image else None,
        "grid": _grid(image) if image else None,
        "pooling": manifest.embedding.pooling,
        "precision": manifest.precision,
        "attention": {"layers": attention.layers, "heads": _heads(attention.heads)} if attention else None,
        "provider": encoder.provider,
    }


async def _attention(asked: AttentionRequest, values: Floats, item: Item) -> dict[str, Any]:
    prepared, image = item.prepared, item.encoder.manifest.image
    return {
        "reduce": asked.reduce,
        "query": asked.to_query().query,
        "shape": values.shape,
        "values": base64_of(values, "<f2") if asked.encoding == "base64" else await pieces.written(values),
        "tokens": _tokens(prepared) if isinstance(prepared, Tokens) else None,
        "grid": _told_grid(asked, prepared, image) if isinstance(prepared, Picture) and image else None,
    }


def _tokens(text: Tokens) -> list[dict[str, Any]]:
    return [{"text": piece, "start": start, "end": end} for piece, start, end in text.pieces]


def _told_grid(asked: AttentionRequest, picture: Picture, spec: ImageSpec) -> dict[str, Any]:
    """The grid that the values stand on: only raw weights are told with the positions before it."""
    boxes = picture.boxes_px(*spec.grid).round(PX_DECIMALS)
    return {**_grid(spec), "prefix": spec.prefix if asked.reduce == "raw" else 0, "boxes_px": boxes}


def _grid(spec: ImageSpec) -> dict[str, int]:
    return {"rows": spec.grid[0], "columns": spec.grid[1], "prefix": spec.prefix}


def _heads(heads: tuple[int, ...]) -> int | tuple[int, ...]:
    return heads[0] if len(set(heads)) == 1 else heads
