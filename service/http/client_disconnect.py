"""Cancellation when the client disconnects: remaining work is dropped."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.requests import ClientDisconnect, Request

POLL_AFTER_S = 0.1
"""From then on it is watched whether the client is there: most requests are answered sooner, and watching costs."""


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
        # else it is done, or the server is stopping

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
