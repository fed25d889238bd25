"""A request on its way through the app: what was sent, what the app holds, and what will be told of it."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from service.bootstrap import AppState
from service.engine.items import EngineRequest
from service.ops.request_record import RequestRecord


class HttpRequest(Request):
    """One request and its answer.

    `headlight` is what the app holds, and `answered` what is told when it is over. `tickets` and `body_bytes` count as
    held until they are released. `fields` are the header's, by their lower-case names: the first, of several alike.
    Starlette's own `state` and `headers` look each name up anew, which a request of one short text has no time for.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        self.app_state: AppState = scope["app"].state.headlight
        self.record: RequestRecord = scope["state"]["record"]
        self.engine_requests: Sequence[EngineRequest] = ()
        self.reserved_body_bytes = 0
        lines: Sequence[tuple[bytes, bytes]] = scope["headers"]
        self.header_values = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(lines)}
