"""Reading a request's body: bounded while it arrives, then strict JSON where it is to be JSON."""

import orjson
from starlette.requests import Request

from service.errors import BodyTooLarge, InvalidJson, UnsupportedMediaType

JSON = "application/json"
MAX_DEPTH = 100


def media_type(request: Request) -> str:
    """What the body is said to be, in lower case and without parameters; a missing Content-Type is JSON."""
    return request.headers.get("content-type", JSON).partition(";")[0].strip().lower()


async def read(request: Request, *, max_bytes: int) -> bytes:
    """The body. Raises UnsupportedMediaType when it is encoded, or BodyTooLarge before it is buffered."""
    _check_headers(request, max_bytes)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise BodyTooLarge(f"the body is larger than {max_bytes} bytes")
    return bytes(body)


def parse(body: bytes) -> object:
    """Strict JSON, nested at most `MAX_DEPTH` deep. Raises InvalidJson.

    NaN and Infinity literals, lone surrogates and numbers past float64 are no JSON here.
    """
    try:
        parsed: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(f"the body is not JSON (at character {error.pos})") from None
    # Only a body with enough opening brackets can be that deep, and walking every large body would cost time.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(parsed) > MAX_DEPTH:
        raise InvalidJson(f"the body is nested more than {MAX_DEPTH} deep")
    return parsed


def _check_headers(request: Request, max_bytes: int) -> None:
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("only an unencoded body is taken")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise BodyTooLarge(f"the body is larger than {max_bytes} bytes")


def _depth(parsed: object) -> int:
    """Levels of nesting, found level by level: recursion would overflow on what is to be refused."""
    depth, level = 0, [parsed]
    while containers := [value for value in level if isinstance(value, list | dict)]:
        depth += 1
        level = [child for value in containers for child in (value.values() if isinstance(value, dict) else value)]
    return depth
