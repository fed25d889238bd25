"""OpenAPI document, generated from the endpoints and their pydantic models."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service import VERSION
from service.http.endpoints import Dialect, Endpoint

JSON = "application/json"

ERROR_DESCRIPTIONS = {
    400: "Invalid request: invalid_json, invalid_input, invalid_parameter, invalid_tokens, "
    "context_length_exceeded, too_many_inputs, attention_too_large, invalid_image, unsupported_image_format, "
    "image_too_large, url_not_allowed, task_not_supported.",
    401: "invalid_api_key, where keys are configured.",
    404: "model_not_found: unknown model.",
    408: "request_timeout: the request did not arrive in time.",
    413: "body_too_large.",
    415: "unsupported_media_type.",
    422: "text-embeddings-inference API only: errors that are 400 in the others.",
    424: "text-embeddings-inference API only: errors that are 500 in the others.",
    429: "overloaded; see Retry-After.",
    500: "inference_failed: the model could not compute this.",
    503: "deadline_exceeded or not_ready; see Retry-After.",
}
_PARAMETER = re.compile(r"{(\w+)}")

_HEADERS = {
    "QueueTimeout": {
        "name": "X-Queue-Timeout-Ms",
        "description": "Longest wait in the queue in ms; at most the server's HEADLIGHT_QUEUE_TIMEOUT_MS, its default.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "RequestId": {
        "name": "X-Request-Id",
        "description": "Id of the request in the response and the log: up to 128 letters, digits and `._:/+=-`. "
        "Without one, or with a malformed one, the server makes its own.",
        "schema": {"type": "string"},
    },
}
"""Request headers by their names in `components.parameters`."""


def build_openapi(dialects: tuple[Dialect, ...]) -> dict[str, Any]:
    """Build the OpenAPI 3.1 document of these dialects."""
    _, definitions = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(_models(dialects))],
        ref_template="#/components/schemas/{model}",
    )
    paths: dict[str, dict[str, Any]] = {}
    for dialect in dialects:
        for endpoint in dialect.endpoints:
            paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(dialect, endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Headlight",
            "version": VERSION,
            "summary": "Embeddings with their attention.",
            "description": "Every response has `X-Request-Id`, and `Server-Timing` with the stages of its request.",
        },
        "servers": [{"url": "./", "description": "this server, also behind a path prefix"}],
        "tags": [{"name": dialect.name} for dialect in dialects],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "parameters": {name: {"in": "header", **header} for name, header in _HEADERS.items()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
            },
        },
    }


def _models(dialects: tuple[Dialect, ...]) -> Iterator[type[BaseModel]]:
    for dialect in dialects:
        yield dialect.error_model
        for endpoint in dialect.endpoints:
            models = (endpoint.request_model, *endpoint.alternative_request_models, endpoint.response_model)
            yield from (model for model in models if model)


def _operation(dialect: Dialect, endpoint: Endpoint) -> dict[str, Any]:
    status = str(int(endpoint.status))
    response_content = (
        _json_content(endpoint.response_model) if endpoint.response_content is None else endpoint.response_content
    )
    response_content = {**response_content} | _binary_content(endpoint.binary_response_types)
    operation: dict[str, Any] = {
        "tags": [dialect.name],
        "summary": endpoint.summary,
        "operationId": f"{endpoint.method.lower()}{re.sub(r'[^a-zA-Z0-9]+', '_', endpoint.path)}",
        "responses": {
            status: {"description": "Successful response."}
            | ({"content": response_content} if response_content else {})
        },
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(endpoint.path)
    ] + list(endpoint.query_parameters)
    if endpoint.request_model:
        parameters += [{"$ref": f"#/components/parameters/{name}"} for name in _HEADERS]
    if parameters:
        operation["parameters"] = parameters
    if not endpoint.public:
        operation["security"] = [{}, {"bearer": []}, {"header": []}]
    if endpoint.request_model:
        body = _json_content(endpoint.request_model, *endpoint.alternative_request_models)
        body[JSON]["examples"] = {name: {"value": value} for name, value in endpoint.examples.items()}
        body |= _binary_content(endpoint.binary_media_types)
        operation["requestBody"] = {"required": True, "content": body}
    for code, text in ERROR_DESCRIPTIONS.items():
        operation["responses"][str(code)] = {"description": text, "content": _json_content(dialect.error_model)}
    return operation


def _binary_content(media_types: Iterable[str]) -> dict[str, Any]:
    return {kind: {"schema": {"type": "string", "format": "binary"}} for kind in media_types}


def _json_content(*models: type[BaseModel] | None) -> dict[str, Any]:
    """Return the content of a body that any of the models describes."""
    schemas = [{"$ref": f"#/components/schemas/{model.__name__}"} if model else {"type": "object"} for model in models]
    return {JSON: {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}
