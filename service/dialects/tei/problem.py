"""Errors as text-embeddings-inference tells them."""

from http import HTTPStatus

from starlette.responses import Response

from service import errors
from service.http import pieces, problems

_TYPES: dict[type[errors.HeadlightError], tuple[str, HTTPStatus | None]] = {
    errors.EmptyInput: ("Empty", HTTPStatus.BAD_REQUEST),
    errors.InvalidTokens: ("Tokenizer", HTTPStatus.UNPROCESSABLE_ENTITY),
    errors.RequestError: ("Validation", HTTPStatus.UNPROCESSABLE_ENTITY),
    errors.Overloaded: ("Overloaded", None),
    errors.Unavailable: ("Unhealthy", None),
    errors.InferenceFailed: ("Backend", HTTPStatus.FAILED_DEPENDENCY),
    errors.Fault: ("Backend", HTTPStatus.FAILED_DEPENDENCY),
    errors.HeadlightError: ("Validation", None),
}
"""What that server calls it, and its status where it is not the one that everyone uses."""


def problem(error: errors.HeadlightError) -> Response:
    """`{"error": "...", "error_type": "..."}`, in that server's statuses."""
    kind, status = next(_TYPES[base] for base in type(error).__mro__ if base in _TYPES)
    return problems.respond(error, pieces.dump({"error": problems.told(error), "error_type": kind}), status)
