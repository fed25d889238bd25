"""Errors as HTTP: one table from error type to status, one shape for the OpenAI dialect."""

import logging
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service import error_body, errors

logger = logging.getLogger(__name__)

STATUS: dict[type[errors.HeadlightError], HTTPStatus] = {
    errors.RequestError: HTTPStatus.BAD_REQUEST,
    errors.ModelNotFound: HTTPStatus.NOT_FOUND,
    errors.BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.Overloaded: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.InferenceFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
}

CLIENT_CLOSED_REQUEST = 499
"""Not in any standard; nginx's code for it, which operators know."""

_CODES = {HTTPStatus.NOT_FOUND: "not_found", HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed"}


def status_of(error: errors.HeadlightError) -> HTTPStatus:
    """The status of the nearest base class in the table."""
    return next(STATUS[base] for base in type(error).__mro__ if base in STATUS)


def openai_problem(error: errors.HeadlightError) -> Response:
    """`{"error": {"message", "type", "param", "code"}, "detail"}`, with Retry-After where trying again can help."""
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, errors.Unavailable) else {}
    return _response(status_of(error), error.message, error.code, error.param, headers)


async def handle_headlight_error(_request: Request, error: Exception) -> Response:
    """Starlette's handler for our own errors."""
    assert isinstance(error, errors.HeadlightError)
    if isinstance(error, errors.BodyTooLarge):
        response = openai_problem(error)
        response.headers["Connection"] = "close"  # the rest of the body is still on its way
        return response
    return openai_problem(error)


async def handle_http_exception(_request: Request, error: Exception) -> Response:
    """Starlette's own refusals: unknown paths and methods. Keeps Allow."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    code = _CODES.get(status, "http_error")
    return _response(status, status.phrase, code, None, dict(error.headers or {}))


async def handle_disconnect(_request: Request, _error: Exception) -> Response:
    """The client went away: nobody reads this answer, but it is counted."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def handle_fault(_request: Request, error: Exception) -> Response:
    """A fault of ours: logged whole, told as nothing but a fault."""
    logger.error("unhandled fault", exc_info=error)
    return _response(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error", "internal_error", None, {})


def _response(status: HTTPStatus, message: str, code: str, param: str | None, headers: dict[str, str]) -> Response:
    return Response(error_body.openai(status, message, code, param), status, headers, error_body.MEDIA_TYPE)
