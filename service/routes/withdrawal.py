"""Waiting for results only as long as the client does: a request whose client has gone leaves the queue."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from service.engine.items import ItemResult, Ticket


async def results(request: Request, ticket: Ticket) -> list[ItemResult]:
    """The ticket's results. Raises ClientDisconnect, and withdraws the ticket, when the client goes first.

    The request's body must have been read: what the server says next can then only be that the client has gone.
    """
    waiting = asyncio.create_task(ticket.wait())
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((waiting, gone), return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise ClientDisconnect
        return waiting.result()
    finally:
        waiting.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
