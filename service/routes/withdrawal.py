"""Waiting for results only as long as the client does: a request whose client has gone leaves the queue."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from service.engine.engine import Engine
from service.engine.items import ItemResult, Ticket


async def results(request: Request, engine: Engine, ticket: Ticket) -> list[ItemResult]:
    """The ticket's results. Raises ClientDisconnect, and withdraws the ticket, when the client goes first.

    The request's body must have been read: what the server says next can then only be that the client has gone.
    """
    gone = asyncio.create_task(_gone(request))
    gone.add_done_callback(lambda _: ticket.future.cancel())
    try:
        return await engine.results(ticket)
    except asyncio.CancelledError:
        if not gone.done():
            raise  # the server is stopping: it is not the client that has gone
        raise ClientDisconnect from None
    finally:
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
