"""From results to the OpenAI dialect's answers: vectors, and attention aligned to the caller's own text or image."""

import base64
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
from starlette.responses import Response

from models.contract.arrays import Floats
from models.contract.manifest import ImageSpec, Manifest
from models.preprocess.image import Picture
from models.preprocess.prepared import Prepared
from models.preprocess.text import Tokens
from service.engine.items import ItemResult
from service.routes import pieces
from service.routes.schemas import AttentionRequest, EmbeddingOptions
from service.runtime.encoder import AnyEncoder

PX_DECIMALS = 2


async def embeddings(
    asked: EmbeddingOptions, encoder: AnyEncoder, items: Sequence[Prepared], results: Sequence[ItemResult]
) -> Response:
    """The answer of `/v1/embeddings`."""
    vectors = encoder.finish(np.stack([result.embedding for result in results]), asked.dimensions)

    async def entries() -> AsyncIterator[dict[str, Any]]:
        for i, (item, result) in enumerate(zip(items, results, strict=True)):
            entry = {"object": "embedding", "index": i, "embedding": vectors[i], "truncated": item.truncated}
            if asked.encoding_format == "base64":
                entry["embedding"] = _base64(vectors[i], "<f4")
            if asked.attention is not None and result.attention is not None:
                entry["attention"] = await _attention(asked.attention, result.attention, item, encoder.manifest)
            yield entry

    data = await pieces.listed(entries())
    positions = sum(item.positions for item in items)
    usage = {"prompt_tokens": positions, "total_tokens": positions}
    return json({"object": "list", "model": encoder.name, "data": data, "usage": usage})


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


def json(content: object) -> Response:
    return Response(pieces.dump(content), media_type="application/json")


async def _attention(asked: AttentionRequest, values: Floats, item: Prepared, manifest: Manifest) -> dict[str, Any]:
    return {
        "reduce": asked.reduce,
        "query": asked.to_query().query,
        "shape": values.shape,
        "values": _base64(values, "<f2") if asked.encoding == "base64" else await pieces.written(values),
        "tokens": _tokens(item) if isinstance(item, Tokens) else None,
        "grid": _told_grid(asked, item, manifest.image) if isinstance(item, Picture) and manifest.image else None,
    }


def _tokens(text: Tokens) -> list[dict[str, Any]]:
    return [
        {"text": piece, "start": start, "end": end}
        for piece, (start, end) in zip(text.pieces, text.offsets, strict=True)
    ]


def _told_grid(asked: AttentionRequest, picture: Picture, spec: ImageSpec) -> dict[str, Any]:
    """The grid that the values stand on: only raw weights are told with the positions before it."""
    boxes = picture.boxes_px(*spec.grid).round(PX_DECIMALS)
    return {**_grid(spec), "prefix": spec.prefix if asked.reduce == "raw" else 0, "boxes_px": boxes}


def _grid(spec: ImageSpec) -> dict[str, int]:
    return {"rows": spec.grid[0], "columns": spec.grid[1], "prefix": spec.prefix}


def _heads(heads: tuple[int, ...]) -> int | tuple[int, ...]:
    return heads[0] if len(set(heads)) == 1 else heads


def _base64(values: Floats, dtype: str) -> str:
    """Little-endian bytes of `dtype`, in base64."""
    return base64.b64encode(values.astype(dtype).tobytes()).decode("ascii")
