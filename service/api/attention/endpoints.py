"""Endpoints of `/v1/attention`."""

from service.api.attention.image import PNG, SVG, AttentionImageRequest, attention_image
from service.api.attention.match import MatchRequest, MatchResponse, match
from service.api.common.inputs import IMAGE_TYPES, PIXEL
from service.http.endpoints import Dialect, Endpoint
from service.http.error_responses import ErrorResponse

_MATCH_EXAMPLES = {
    "two texts": {"model": "all-MiniLM-L6-v2", "inputs": ["The lamp warns ships.", "A light for sailors."]},
    "a text and an image": {"inputs": [{"text": "A red star."}, {"image": PIXEL}], "pairs": True},
}

_IMAGE_EXAMPLES = {
    "a text": {"model": "all-MiniLM-L6-v2", "input": "A lighthouse keeper reads by the lamp."},
    "every layer and head": {
        "model": "all-MiniLM-L6-v2", "input": {"text": "A lamp."}, "attention": {"reduce": "raw"}, "width_px": 400,
    },
    "an image": {"model": "scenes-vit", "input": {"image": PIXEL}, "attention": True},
}  # fmt: skip

_QUERY = [
    {"name": name, "in": "query", "schema": {"type": type}, "description": f"With an image as the body: {description}"}
    for name, type, description in (
        ("model", "string", "the model."),
        ("width_px", "integer", "width in pixels."),
        ("reduce", "string", "how layers and heads are reduced, or raw."),
        ("query", "string", "query position: pool, all, or one patch's index."),
        ("layers", "string", "with raw: all, or comma-separated indices."),
        ("heads", "string", "with raw: all, mean, max, or comma-separated indices."),
    )
]

_IMAGE = {PNG: {"schema": {"type": "string", "format": "binary"}}, SVG: {"schema": {"type": "string"}}}

DIALECT = Dialect(
    "Attention",
    (
        Endpoint("POST", "/v1/attention/match", match, "Compare two inputs part by part", MatchRequest, MatchResponse,
                 _MATCH_EXAMPLES),
        Endpoint("POST", "/v1/attention/image", attention_image, "Draw one text or image with its attention",
                 AttentionImageRequest, examples=_IMAGE_EXAMPLES, query_parameters=_QUERY,
                 binary_media_types=IMAGE_TYPES,
                 response_content=_IMAGE),
    ),
    ErrorResponse,
)  # fmt: skip
