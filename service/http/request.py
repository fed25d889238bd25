"""A request on its way through the app: its headers, the app's state, and the record of the request."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.app_state import AppState
from service.engine.items import EngineRequest
from service.errors import HeadlightError, InvalidParameter
from service.ops.access_log import RequestRecord
from service.pipeline.infer import infer
from service.pipeline.score import ScoreRequest, ScoreResult, score
from service.pipeline.types import InferenceRequest, InferenceResult

_Request = TypeVar("_Request", InferenceRequest, ScoreRequest)
_Result = TypeVar("_Result", InferenceResult, ScoreResult)
UseCase = Callable[[AppState, _Request, float, list[EngineRequest]], Awaitable[_Result]]
"""What the pipeline does for a typed request, until a deadline; it appends the requests whose results are unsent."""

MAX_DIGITS = 12
"""Maximum digits of a number in a header; longer numbers count as the maximum."""


def parse_header_int(text: str, name: str, expectation: str) -> int:
    """Parse the integer in the header `name`. Raises InvalidParameter with the `expectation`."""
    number = _parse_digits(text)
    if number is None:
        raise InvalidParameter(f"the header must be {expectation}", name)
    return number


def parse_query_int(text: str) -> object:
    """Parse an integer as JSON would; return other text unchanged."""
    number = _parse_digits(text.removeprefix("-"))
    return text if number is None else -number if text.startswith("-") else number


def _parse_digits(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal()):
        return None
    digits = text.lstrip("0") or "0"
    return int(digits) if len(digits) <= MAX_DIGITS else 10**MAX_DIGITS


class HttpRequest(Request):
    """One request and its response.

    `record` is reported to the metrics, the access log and the traces at the end. `engine_requests` and
    `reserved_body_bytes` count against the limits until they are released. `error_response` is set where the body, not
    the path, says which dialect the client speaks. `header_values` maps lower-case names to
    values; the first of duplicate headers wins. Starlette's own `state` and `headers` repeat each lookup, which is too
    slow for a request of one short text.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        self.app_state: AppState = scope["app"].state.headlight
        self.record: RequestRecord = scope["state"]["record"]
        self.engine_requests: Sequence[EngineRequest] = ()
        self.reserved_body_bytes = 0
        self.error_response: Callable[[HeadlightError], Response] | None = None
        lines: Sequence[tuple[bytes, bytes]] = scope["headers"]
        self.header_values = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(lines)}


HEADER, DEPRECATED_HEADER = "x-queue-timeout-ms", "x-request-timeout-ms"


def request_deadline(request: HttpRequest, max_ms: int) -> float:
    """Return the time, on `time.monotonic`'s clock, until which the request may wait in the queue.

    Raises InvalidParameter if the header is not a count of milliseconds.
    """
    header = HEADER if HEADER in request.header_values else DEPRECATED_HEADER
    header_value = request.header_values.get(header)
    if header_value is None:
        return time.monotonic() + max_ms / 1000
    expectation = "an integer number of milliseconds, at least 1"
    if (requested_ms := parse_header_int(header_value, header, expectation)) == 0:
        raise InvalidParameter(f"the header must be {expectation}", header)
    return time.monotonic() + min(requested_ms, max_ms) / 1000


def preferred_media_type(accept: str, offers: Sequence[str]) -> str:
    """Return the offer that an Accept header values most (RFC 9110, section 12.5.1); of equal ones, the first.

    A range that cannot be read is ignored, and without any match the first offer is returned.
    """
    qualities = {}
    for media_range in accept.lower().split(","):
        name, *parameters = (part.strip() for part in media_range.split(";"))
        quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        if re.fullmatch(r"[01](\.\d{0,3})?", quality):
            qualities[name] = float(quality)
    ranges = {offer: (offer, offer.partition("/")[0] + "/*", "*/*") for offer in offers}
    return max(offers, key=lambda offer: next((qualities[name] for name in ranges[offer] if name in qualities), 0.0))


POLL_AFTER_S = 0.1
"""Time after which the client's connection is watched: most requests finish sooner, and watching costs."""


class CancelOnDisconnect:
    """`async with CancelOnDisconnect(request):` what takes its time. When the client goes, the task is cancelled in
    there, and ClientDisconnect raised.

    The request's body must have been read: what the server says next can then only be that the client has gone.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._disconnected = False
        self._task: asyncio.Task[object] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(POLL_AFTER_S, self._start_watching)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task = self._task
        self._stop()
        if self._disconnected and task and task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise ClientDisconnect from None
        # otherwise the task is done, or the server is stopping

    def _start_watching(self) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._poll_disconnect())

    async def _poll_disconnect(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        if self._task:
            self._disconnected = self._task.cancel()

    def _stop(self) -> None:
        """None is kept: each leads back here, and the request with its answer would stay for the collector."""
        if self._timer:
            self._timer.cancel()
        if self._watcher:
            self._watcher.cancel()
        self._timer = self._watcher = self._task = None


async def infer_http(request: HttpRequest, inference_request: InferenceRequest) -> InferenceResult:
    """Run a request. Raises BadRequestError, ModelNotFound, Unavailable, InferenceFailed, or ClientDisconnect."""
    return await _run_http(request, infer, inference_request)


async def score_http(request: HttpRequest, score_request: ScoreRequest) -> ScoreResult:
    """Score documents. Raises as `infer_http` does."""
    return await _run_http(request, score, score_request)


async def _run_http(request: HttpRequest, use_case: UseCase[_Request, _Result], typed_request: _Request) -> _Result:
    state = request.app_state
    if typed_request.model is not None:
        request.record.model = state.models.get(typed_request.model).name
    deadline = request_deadline(request, state.settings.queue_timeout_ms)
    request.engine_requests = engine_requests = list[EngineRequest]()
    async with CancelOnDisconnect(request):
        result = await use_case(state, typed_request, deadline, engine_requests)
    record = request.record
    record.model, record.timing = result.encoder.name, result.timing
    record.num_inputs, record.num_tokens = result.num_inputs, result.num_tokens
    return result
