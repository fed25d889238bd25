"""Errors in text-embeddings-inference's format."""

from http import HTTPStatus

from starlette.responses import Response

from service import errors
from service.http import error_responses, responses

_TYPES: dict[type[errors.HeadlightError], tuple[str, HTTPStatus | None]] = {
    errors.EmptyInput: ("Empty", HTTPStatus.BAD_REQUEST),
    errors.InvalidTokens: ("Tokenizer", HTTPStatus.UNPROCESSABLE_ENTITY),
    errors.BadRequestError: ("Validation", HTTPStatus.UNPROCESSABLE_ENTITY),
    errors.Overloaded: ("Overloaded", None),
    errors.Unavailable: ("Unhealthy", None),
    errors.InferenceFailed: ("Backend", HTTPStatus.FAILED_DEPENDENCY),
    errors.InternalError: ("Backend", HTTPStatus.FAILED_DEPENDENCY),
    errors.HeadlightError: ("Validation", None),
}
"""What that server calls it, and its status where it is not the one that everyone uses."""


def error_response(error: errors.HeadlightError) -> Response:
    """`{"error": "...", "error_type": "..."}`, in that server's statuses."""
    kind, status = next(_TYPES[base] for base in type(error).__mro__ if base in _TYPES)
    return error_responses.error_response(
        error, responses.dump({"error": error_responses.message_with_param(error), "error_type": kind}), status
    )
