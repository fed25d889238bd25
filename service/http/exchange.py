"""A request on its way through the app: what was sent, what the app holds, and what will be told of it."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from service.answered import Answered
from service.engine.items import Ticket
from service.state import State


class Exchange(Request):
    """One request and its answer.

    `headlight` is what the app holds, and `answered` what is told when it is over. `tickets` and `body_bytes` count as
    held until they are released. `fields` are the header's, by their lower-case names: the first, of several alike.
    Starlette's own `state` and `headers` look each name up anew, which a request of one short text has no time for.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        self.headlight: State = scope["app"].state.headlight
        self.answered: Answered = scope["state"]["answered"]
        self.tickets: Sequence[Ticket] = ()
        self.body_bytes = 0
        lines: Sequence[tuple[bytes, bytes]] = scope["headers"]
        self.fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(lines)}
