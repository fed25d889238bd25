"""Another server is compared with only where it embeds alike."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import orjson
import pytest

from bench.against import check_alike
from bench.server import ServerFailed


@contextmanager
def embedding(width: int, *, turned: float = 0.0, base64_known: bool = True, field: str = "data") -> Iterator[str]:
    """The URL of a server whose vectors depend on the texts alone, `turned` aside by such a share of their length."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
            body = orjson.dumps({field: [{"embedding": told(text)} for text in asked["input"]]})
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    def told(text: str) -> str | list[float]:
        rng = np.random.default_rng(list(text.encode()))
        vector = rng.standard_normal(width) + turned * rng.standard_normal(width)
        plain = vector.astype("<f4")
        return base64.b64encode(plain.tobytes()).decode() if base64_known else plain.tolist()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/embeddings"
        server.shutdown()
        thread.join()


def test_rounding_and_the_way_of_writing_make_no_difference() -> None:
    with embedding(384) as ours, embedding(384, turned=1e-3, base64_known=False) as other:
        check_alike(ours, other, "their-name")


def test_another_pooling_is_told() -> None:
    with (
        embedding(384) as ours,
        embedding(384, turned=0.5) as other,
        pytest.raises(ServerFailed, match=r"cosine of 0\.[89]"),
    ):
        check_alike(ours, other, "m")


def test_another_width_is_told() -> None:
    with embedding(384) as ours, embedding(768) as other, pytest.raises(ServerFailed, match="768 numbers, not 384"):
        check_alike(ours, other, "m")


def test_who_speaks_no_openai_is_told() -> None:
    with embedding(384) as ours, embedding(384, field="vectors") as other, pytest.raises(ServerFailed, match="OpenAI"):
        check_alike(ours, other, "m")
    with embedding(384) as ours, pytest.raises(ServerFailed, match="OpenAI"):
        check_alike(ours, "http://127.0.0.1:1/v1/embeddings", "m")
