"""A request on its way through the app: its headers, the app's state, and the record of the request."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from service.bootstrap import AppState
from service.engine.items import EngineRequest
from service.ops.request_record import RequestRecord


class HttpRequest(Request):
    """One request and its response.

    `record` is reported to the metrics, the access log and the traces at the end. `engine_requests` and
    `reserved_body_bytes` count against the limits until they are released. `header_values` maps lower-case names to
    values; the first of duplicate headers wins. Starlette's own `state` and `headers` repeat each lookup, which is too
    slow for a request of one short text.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        self.app_state: AppState = scope["app"].state.headlight
        self.record: RequestRecord = scope["state"]["record"]
        self.engine_requests: Sequence[EngineRequest] = ()
        self.reserved_body_bytes = 0
        lines: Sequence[tuple[bytes, bytes]] = scope["headers"]
        self.header_values = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(lines)}
