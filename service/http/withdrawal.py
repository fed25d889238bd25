"""Waiting for results only as long as the client does: a request whose client has gone leaves the queue."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from service.engine.engine import Engine
from service.engine.items import ItemResult, Ticket

WATCH_AFTER_S = 0.1
"""From then on it is watched whether the client is there: most requests are answered sooner, and watching costs."""


async def results(request: Request, engine: Engine, ticket: Ticket) -> list[ItemResult]:
    """The ticket's results. Raises ClientDisconnect, and withdraws the ticket, when the client goes first.

    The request's body must have been read: what the server says next can then only be that the client has gone.
    """
    watch = _Watch(request, ticket)
    try:
        return await engine.results(ticket)
    except asyncio.CancelledError:
        if watch.gone:
            raise ClientDisconnect from None
        raise  # the server is stopping
    finally:
        watch.end()


class _Watch:
    def __init__(self, request: Request, ticket: Ticket) -> None:
        self.gone = False
        self._request = request
        self._ticket = ticket
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = ticket.loop.call_later(WATCH_AFTER_S, self._begin)

    def end(self) -> None:
        """Neither is kept: each leads back here, and the request with its answer would stay for the collector."""
        if self._timer:
            self._timer.cancel()
        if self._task:
            self._task.cancel()
        self._timer = self._task = None

    def _begin(self) -> None:
        self._task = self._ticket.loop.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._ticket.future.cancel()
