"""What a dialect is made of: its endpoints, and the shape of its errors.

The app's routes and the OpenAPI document are both made of these.
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

from service.errors import Fault, HeadlightError, MethodNotAllowed
from service.http import body, embedding, keys, problems
from service.http.exchange import Exchange

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Endpoint:
    """One method of one path.

    `request` and `answer` are the JSON bodies' models, of which the documentation is made; `examples` are requests
    that are answered with 200 where the models they name are served. `keyless` is what is told without an API key.
    """

    method: Literal["GET", "POST"]
    path: str
    handler: Callable[[Exchange], Awaitable[Response]]
    summary: str
    request: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    examples: Mapping[str, Any] = field(default_factory=dict)
    keyless: bool = False
    probe: bool = False
    """Asked every few seconds by whoever watches: of interest to the log when it fails."""
    status: HTTPStatus = HTTPStatus.OK
    content: Mapping[str, Any] | None = None
    """What the answer is, as OpenAPI says it, where it is no JSON."""
    query: Sequence[Mapping[str, Any]] = ()
    """Parameters in the URL, as OpenAPI says them."""
    files: Sequence[str] = ()
    """Media types of files that the body can be instead."""


@dataclass(frozen=True)
class Dialect:
    """A contract that clients speak already: a translation of one request type and one result type."""

    name: str
    endpoints: tuple[Endpoint, ...]
    error: type[BaseModel]
    """What an error's body is."""
    problem: Callable[[HeadlightError], Response] = problems.openai


class Resource:
    """An ASGI app for all that is at one path: each method's errors have the shape of the dialect that it belongs to,
    and that there is no such method is told as the first of them tells.
    """

    def __init__(self, served: Iterable[tuple[Dialect, Endpoint]]) -> None:
        self._served: dict[str, tuple[Dialect, Endpoint]] = {each[1].method: each for each in served}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Exchange(scope, receive, send)
        try:
            response = await self._response(request)
            await response(scope, receive, send)
        finally:
            embedding.release(request)

    async def _response(self, request: Exchange) -> Response:
        try:
            return await self._answer(request)
        except HeadlightError as error:
            # They lead to the request and all it held, which lead back here: it would stay for the collector.
            error.__traceback__ = error.__context__ = None
            return self.problem(request, error)
        finally:
            body.release(request)

    def problem(self, request: Request, error: HeadlightError) -> Response:
        """The error as the request's dialect tells it."""
        dialect, _ = self._asked(request) or next(iter(self._served.values()))
        return dialect.problem(error)

    def _asked(self, request: Request) -> tuple[Dialect, Endpoint] | None:
        return self._served.get("GET" if request.method == "HEAD" else request.method)

    async def _answer(self, request: Exchange) -> Response:
        asked = self._asked(request)
        if asked is None:
            raise MethodNotAllowed(self._served)
        _, endpoint = asked
        request.answered.probe = endpoint.probe
        if not endpoint.keyless:
            keys.check(request)
        return await endpoint.handler(request)


async def handle_fault(request: Request, error: Exception) -> Response:
    """A fault of ours: logged whole, told as nothing but a fault, in the dialect's own shape."""
    logger.error("unhandled fault in request %s", request.state.answered.request_id.decode("ascii"), exc_info=error)
    resource = request.scope.get("endpoint")
    fault = Fault("internal error")
    return resource.problem(request, fault) if isinstance(resource, Resource) else problems.openai(fault)
