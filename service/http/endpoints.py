"""Endpoints of the dialects, and the format of their errors.

The app's routes and the OpenAPI document are generated from them.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.errors import HeadlightError, InternalError, MethodNotAllowed
from service.http import auth, body, error_responses
from service.http.request import HttpRequest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Endpoint:
    """One method of one path.

    `request_model` and `response_model` describe the JSON bodies in the OpenAPI document; `examples` are requests that
    return 200 if the models they name are served. A `public` endpoint needs no API key.
    """

    method: Literal["GET", "POST"]
    path: str
    handler: Callable[[HttpRequest], Awaitable[Response]]
    summary: str
    request_model: type[BaseModel] | None = None
    response_model: type[BaseModel] | None = None
    examples: Mapping[str, Any] = field(default_factory=dict)
    public: bool = False
    is_probe: bool = False
    """Polled every few seconds by health checks; logged only when it fails."""
    status: HTTPStatus = HTTPStatus.OK
    response_content: Mapping[str, Any] | None = None
    """OpenAPI content of the response, if it is not JSON."""
    query_parameters: Sequence[Mapping[str, Any]] = ()
    """OpenAPI query parameters."""
    alternative_request_models: Sequence[type[BaseModel]] = ()
    """Models of the other bodies that the path takes."""
    binary_response_types: Sequence[str] = ()
    """Media types of a binary response, which a client gets that accepts one."""
    binary_media_types: Sequence[str] = ()
    """Media types of a file sent as the body instead of JSON."""


@dataclass(frozen=True)
class Dialect:
    """API of another server that clients already use: it translates one request type and one result type."""

    name: str
    endpoints: tuple[Endpoint, ...]
    error_model: type[BaseModel]
    """Model of an error's body."""
    error_response: Callable[[HeadlightError], Response] = error_responses.openai_error_response


class PathHandler:
    """An ASGI app for every method of one path.

    Errors use the format of the method's dialect; 405 uses that of the first.
    """

    def __init__(self, endpoints: Iterable[tuple[Dialect, Endpoint]]) -> None:
        self._endpoints: dict[str, tuple[Dialect, Endpoint]] = {each[1].method: each for each in endpoints}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = HttpRequest(scope, receive, send)
        try:
            response = await self._respond(request)
            await response(scope, receive, send)
        finally:
            _release_engine_requests(request)

    async def _respond(self, request: HttpRequest) -> Response:
        try:
            return await self._dispatch(request)
        except HeadlightError as error:
            # The traceback refers to the request, which refers back: a cycle that only the collector would free.
            error.__traceback__ = error.__context__ = None
            request.record.error_code = error.code
            return self.error_response(request, error)
        finally:
            body.release_body(request)

    def error_response(self, request: Request, error: HeadlightError) -> Response:
        """Return the error in the format of the request's dialect."""
        if isinstance(request, HttpRequest) and request.error_response:
            return request.error_response(error)
        dialect, _ = self._find_endpoint(request) or next(iter(self._endpoints.values()))
        return dialect.error_response(error)

    def _find_endpoint(self, request: Request) -> tuple[Dialect, Endpoint] | None:
        return self._endpoints.get("GET" if request.method == "HEAD" else request.method)

    async def _dispatch(self, request: HttpRequest) -> Response:
        match = self._find_endpoint(request)
        if match is None:
            raise MethodNotAllowed(self._endpoints)
        _, endpoint = match
        request.record.is_probe = endpoint.is_probe
        if not endpoint.public:
            auth.require_api_key(request.header_values, request.app_state.api_keys)
        return await endpoint.handler(request)


async def handle_unexpected_error(request: Request, error: Exception) -> Response:
    """Log an internal error with its traceback; respond with a generic message in the dialect's format."""
    logger.error("unhandled exception in request %s", request.state.record.request_id.decode("ascii"), exc_info=error)
    handler = request.scope.get("endpoint")
    internal_error = InternalError("internal error")
    request.state.record.error_code = internal_error.code
    return (
        handler.error_response(request, internal_error)
        if isinstance(handler, PathHandler)
        else error_responses.openai_error_response(internal_error)
    )


def _release_engine_requests(request: HttpRequest) -> None:
    """Release the attention bytes reserved for the request, after its response is sent or abandoned."""
    for engine_request in request.engine_requests:
        request.app_state.engine.on_response_sent(engine_request)
    request.engine_requests = ()  # they hold references to the results
