"""The OpenAPI document, made from the same pydantic models that validate, and a page that shows it.

The page asks nothing of any other host: it works where the service does.
"""

from importlib.resources import files
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from service.routes import answer_schemas, schemas
from service.routes.openai import IMAGE_TYPES

JSON = "application/json"

ERRORS = {
    400: "The request must change: invalid_json, invalid_input, invalid_parameter, context_length_exceeded, "
    "too_many_inputs, attention_too_large, invalid_image, unsupported_image_format, image_too_large, url_not_allowed.",
    404: "No such model: model_not_found.",
    413: "body_too_large.",
    415: "unsupported_media_type.",
    429: "overloaded; see Retry-After.",
    503: "deadline_exceeded or not_ready; see Retry-After.",
}

EXAMPLES = {
    "one text": {"model": "all-MiniLM-L6-v2", "input": "A lighthouse keeper reads by the lamp."},
    "attention": {"model": "all-MiniLM-L6-v2", "input": ["A lighthouse keeper reads."], "attention": True},
    "image": {"model": "scenes-vit", "input": [{"image": "data:image/png;base64,..."}], "attention": True},
    "raw attention": {"model": "all-MiniLM-L6-v2", "input": "A lamp.", "attention": {"reduce": "raw", "layers": [5]}},
}

QUERY = (
    ("model", "string", "With an image as the body: the model."),
    ("attention", "string", "With an image as the body: true, false, or what to reduce to."),
    ("dimensions", "integer", "With an image as the body: keep the first dimensions only."),
    ("encoding_format", "string", "With an image as the body: float or base64."),
)


async def openapi(_request: Request) -> Response:
    return Response(orjson.dumps(document(), option=orjson.OPT_NON_STR_KEYS), media_type=JSON)


async def page(_request: Request) -> Response:
    return HTMLResponse(files(__package__).joinpath("docs.html").read_text(encoding="utf-8"))


def document() -> dict[str, Any]:
    """The service's OpenAPI 3.1 document."""
    parts: tuple[type[BaseModel], ...] = (
        schemas.EmbeddingsRequest, answer_schemas.EmbeddingsResponse, answer_schemas.ModelsResponse,
        answer_schemas.ErrorResponse,
    )  # fmt: skip
    _, definitions = models_json_schema(
        [(part, "validation") for part in parts], ref_template="#/components/schemas/{model}"
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Headlight", "version": "1", "summary": "Embeddings, and the attention behind them."},
        "paths": {
            "/v1/embeddings": {"post": _embeddings_operation()},
            "/v1/models": {"get": _operation("The served models", 200, _content("ModelsResponse"))},
            "/livez": {"get": _operation("Is the engine at work?", 200, {"text/plain": {}})},
            "/readyz": {"get": _operation("Are the models warmed up, and not draining?", 200, {"text/plain": {}})},
            "/metrics": {"get": _operation("Prometheus metrics", 200, {"text/plain": {}})},
        },
        "components": {"schemas": definitions["$defs"]},
    }


def _embeddings_operation() -> dict[str, Any]:
    operation = _operation(
        "Embed texts or images, with their attention on request", 200, _content("EmbeddingsResponse")
    )
    body = _content("EmbeddingsRequest")
    body[JSON]["examples"] = {name: {"value": value} for name, value in EXAMPLES.items()}
    body |= {kind: {"schema": {"type": "string", "format": "binary"}} for kind in IMAGE_TYPES}
    operation["parameters"] = [_query_parameter(*parameter) for parameter in QUERY]
    operation["requestBody"] = {"required": True, "content": body}
    for status, text in ERRORS.items():
        operation["responses"][str(status)] = {"description": text, "content": _content("ErrorResponse")}
    return operation


def _query_parameter(name: str, type: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": type}, "description": description}


def _operation(summary: str, status: int, content: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "responses": {str(status): {"description": "The answer.", "content": content}}}


def _content(schema: str) -> dict[str, Any]:
    return {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
