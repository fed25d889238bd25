"""Errors as HTTP responses: one table from error type to status. Each dialect has its own bodies."""

from http import HTTPStatus

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from service import errors
from service.http import protocol_errors


class ErrorObject(BaseModel):
    message: str
    type: str
    param: str | None
    code: str


class ErrorResponse(BaseModel):
    error: ErrorObject
    detail: str


class PlainError(BaseModel):
    error: str


STATUS_BY_ERROR: dict[type[errors.HeadlightError], HTTPStatus] = {
    errors.BadRequestError: HTTPStatus.BAD_REQUEST,
    errors.InvalidApiKey: HTTPStatus.UNAUTHORIZED,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.ModelNotFound: HTTPStatus.NOT_FOUND,
    errors.MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    errors.BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.Overloaded: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.InferenceFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.InternalError: HTTPStatus.INTERNAL_SERVER_ERROR,
}

CLIENT_CLOSED_REQUEST = 499
"""Status of a request whose client disconnected; nginx's code, not in any standard."""


def http_status(error: errors.HeadlightError) -> HTTPStatus:
    """Return the status of the nearest base class in the table."""
    return next(STATUS_BY_ERROR[base] for base in type(error).__mro__ if base in STATUS_BY_ERROR)


def message_with_param(error: errors.HeadlightError) -> str:
    """Return the message with the parameter's name, for dialects without a field for it."""
    names_param = error.param is None or error.message.startswith(f"{error.param}:")
    return error.message if names_param else f"{error.param}: {error.message}"


def simple_error_response(error: errors.HeadlightError) -> Response:
    """`{"error": "..."}`, as several dialects have it."""
    return error_response(error, orjson.dumps({"error": message_with_param(error)}))


def error_response(error: errors.HeadlightError, body: bytes, status: HTTPStatus | None = None) -> Response:
    """Return a response with a dialect's `body`, the error's headers, and `status` or the error's own status."""
    return Response(body, status or http_status(error), _headers(error), protocol_errors.MEDIA_TYPE)


def openai_error_response(error: errors.HeadlightError) -> Response:
    """`{"error": {"message", "type", "param", "code"}, "detail"}`: also for paths that are no dialect's."""
    return error_response(
        error, protocol_errors.openai_error_body(http_status(error), error.message, error.code, error.param)
    )


async def handle_not_found(request: Request, _error: Exception) -> Response:
    """Handle an unknown path, the router's only refusal: each path accepts all methods itself."""
    not_found = errors.NotFound("path not found")
    request.state.record.error_code = not_found.code
    return openai_error_response(not_found)


async def handle_disconnect(_request: Request, _error: Exception) -> Response:
    """Return a status for the metrics and the access log; nobody reads the response."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)


def _headers(error: errors.HeadlightError) -> dict[str, str]:
    match error:
        case errors.Unavailable():
            return {"Retry-After": str(error.retry_after_s)}
        case errors.InvalidApiKey():
            return {"WWW-Authenticate": "Bearer"}
        case errors.MethodNotAllowed():
            return {"Allow": ", ".join(error.allowed)}
        case errors.BodyTooLarge():
            return {"Connection": "close"}  # the rest of the body may still be on its way
    return {}
