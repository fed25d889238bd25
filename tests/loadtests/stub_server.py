"""A server that answers at once and always the same, in a process of its own: what loads it is what is measured.

`python -m tests.loadtests.stub_server [FILE]` says on which port; the bodies of requests go to FILE, a line each.
"""

import asyncio
import base64
import json
import struct
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

import uvloop

VECTOR = base64.b64encode(struct.pack("<4f", 0.5, 0.5, 0.5, 0.5)).decode()
ANSWER = json.dumps({"object": "list", "data": [{"embedding": VECTOR, "index": 0}]}).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer-Timing: queue;dur=0.01, total;dur=0.05\r\n"
BATCH_METRICS = (
    b'headlight_batch_size_bucket{le="1",model="m"} 3.0\nheadlight_batch_size_bucket{le="+Inf",model="m"} 3.0\n'
)


class StubProtocol(asyncio.Protocol):
    def __init__(self, file: BinaryIO | None) -> None:
        self._file = file
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._received[:end]).lower()
            _, found, rest = head.partition(b"content-length:")
            length = int(rest.split(b"\r\n")[0]) if found else 0
            if len(self._received) < end + 4 + length:
                return
            body = bytes(self._received[end + 4 : end + 4 + length])
            del self._received[: end + 4 + length]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if body and self._file:
            self._file.write(body + b"\n")
            self._file.flush()
        answer = ANSWER if head.startswith(b"post") else BATCH_METRICS
        self._transport.write(HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(answer), answer))


async def main(file: BinaryIO | None) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: StubProtocol(file), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await server.serve_forever()


if __name__ == "__main__":
    with ExitStack() as files:
        to = files.enter_context(Path(sys.argv[1]).open("wb")) if len(sys.argv) > 1 else None
        uvloop.run(main(to))
