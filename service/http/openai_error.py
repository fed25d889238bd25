"""Error body in OpenAI's format, shared by the app and the protocol below it."""

from http import HTTPStatus

import orjson

MEDIA_TYPE = "application/json"


def openai_error_body(status: HTTPStatus, message: str, code: str, param: str | None = None) -> bytes:
    """`{"error": {"message", "type", "param", "code"}, "detail"}`."""
    error_type = "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
    body = {"error": {"message": message, "type": error_type, "param": param, "code": code}, "detail": message}
    return orjson.dumps(body)
