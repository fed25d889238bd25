"""Raw HTTP over a socket: requests that no client library would send."""

import json
import socket
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self


@dataclass(frozen=True)
class RawResponse:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error_code(self) -> str:
        """Of an error in the app's shape, which is checked."""
        body: dict[str, Any] = json.loads(self.body)
        assert set(body) == {"error", "detail"}
        assert set(body["error"]) == {"message", "type", "param", "code"}
        assert self.headers["content-type"] == "application/json"
        return str(body["error"]["code"])


class RawConnection:
    """One TCP connection to the server at `url`, from when something is first sent or awaited.

    A server counts how long those who are connected say nothing, so nobody is while a test only prepares.
    """

    def __init__(self, url: str, timeout_s: float = 30) -> None:
        host, port = url.removeprefix("http://").split(":")
        self._address = host, int(port)
        self._timeout_s = timeout_s
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @cached_property
    def _socket(self) -> socket.socket:
        sock = socket.create_connection(self._address, timeout=self._timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def trickle(self, data: bytes, interval_s: float = 0.1) -> None:
        """Byte by byte, until the server has closed."""
        for i in range(len(data)):
            try:
                self.send(data[i : i + 1])
            except OSError:
                return
            time.sleep(interval_s)

    def read_response(self) -> RawResponse | None:
        """The next, or None when the server has closed instead."""
        head = self._take_until(b"\r\n\r\n")
        if head is None:
            return None
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        return RawResponse(int(first.split()[1]), headers, self._take(int(headers["content-length"])))

    def closed_by_server(self) -> bool:
        """Does nothing more come, and the connection end?"""
        return not self._unread and not self._receive()

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(65_536)
        except ConnectionResetError:
            return b""

    def _take_until(self, end: bytes) -> bytes | None:
        while end not in self._unread:
            data = self._receive()
            if not data:
                assert not self._unread, "an answer was cut off"
                return None
            self._unread += data
        taken, _, self._unread = self._unread.partition(end)
        return taken

    def _take(self, count: int) -> bytes:
        while len(self._unread) < count:
            data = self._receive()
            assert data, "an answer was cut off"
            self._unread += data
        taken, self._unread = self._unread[:count], self._unread[count:]
        return taken
