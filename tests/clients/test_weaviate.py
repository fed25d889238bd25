"""What Weaviate's modules text2vec-transformers and multi2vec-clip send, replayed byte for byte, and read as they read.

There is no Weaviate here: the requests are those of Go's net/http and encoding/json, header by header and in order.
`usecases/modulecomponents/clients/transformers/transformers.go` and `modules/multi2vec-clip/clients/vectorizer.go`.
"""

import base64
import gzip
import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from tests.clients.reference import TEXTS, assert_same, embed
from tests.images import encode, gradient_image, to_data_url
from tests.server import Server

GO_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""encoding/json escapes these, and nothing else past ASCII."""


class VectorizeFailed(Exception):
    """As the modules report it."""


@pytest.fixture
def connection(server: Server) -> Iterator[http.client.HTTPConnection]:
    """Kept between requests, as Go's transport keeps it."""
    opened = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    yield opened
    opened.close()


def marshal(value: Mapping[str, Any]) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character, escaped in GO_ESCAPES.items():
        text = text.replace(character, escaped)
    return text.encode()


def send(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None, kind: str | None = None
) -> tuple[int, bytes]:
    """Go's request: these headers, in this order."""
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", f"{connection.host}:{connection.port}")
    connection.putheader("User-Agent", "Go-http-client/1.1")
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    if kind is not None:
        connection.putheader("Content-Type", kind)
    connection.putheader("Accept-Encoding", "gzip")
    connection.endheaders(body)
    answer = connection.getresponse()
    content = answer.read()
    return answer.status, gzip.decompress(content) if answer.getheader("Content-Encoding") == "gzip" else content


def unmarshal(body: bytes, fields: Mapping[str, type]) -> dict[str, Any]:
    """As encoding/json fills a struct: null leaves a field alone, a field of another type fails, others are ignored."""
    loaded = json.loads(body)
    assert isinstance(loaded, dict)
    for name, kind in fields.items():
        assert loaded.get(name) is None or type(loaded[name]) is kind, name
    return loaded


def vectors(connection: http.client.HTTPConnection, text: str, **config: object) -> list[float]:
    """`Client.vectorize`. The request has the answer's fields too, empty: Go marshals one struct for both."""
    body = marshal({"text": text, "dims": 0, "vector": None, "error": "", "config": config})
    status, content = send(connection, "POST", "/vectors", body)  # no Content-Type
    answer = unmarshal(content, {"text": str, "dims": int, "vector": list, "error": str})
    if status != 200:
        raise VectorizeFailed(f"fail with status {status}: {answer.get('error') or ''}")
    assert answer["text"] == text
    assert answer["dims"] == len(answer["vector"])
    found: list[float] = answer["vector"]
    return found


def vectorize(connection: http.client.HTTPConnection, texts: Sequence[str], images: Sequence[str]) -> dict[str, Any]:
    """`vectorizer.Vectorize` of multi2vec-clip, which does send its Content-Type."""
    body = marshal({name: values for name, values in (("texts", texts), ("images", images)) if values})
    status, content = send(connection, "POST", "/vectorize", body, "application/json")
    answer = unmarshal(content, {"textVectors": list, "imageVectors": list, "error": str})
    if status > 399:
        raise VectorizeFailed(f"fail with status {status}: {answer.get('error') or ''}")
    assert len(answer.get("textVectors") or []) == len(texts)
    assert len(answer.get("imageVectors") or []) == len(images)
    return answer


def test_object_is_vectorized(connection: http.client.HTTPConnection, expected: np.ndarray) -> None:
    config = {"pooling_strategy": "masked_mean", "task_type": "passage"}
    assert_same([vectors(connection, text, **config) for text in TEXTS], expected)


def test_query_is_vectorized(connection: http.client.HTTPConnection, expected_64: np.ndarray) -> None:
    config = {"pooling_strategy": "masked_mean", "task_type": "query", "dimensions": 64}
    assert_same([vectors(connection, text, **config) for text in TEXTS], expected_64)


def test_line_separators_arrive(connection: http.client.HTTPConnection, server: Server) -> None:
    text = 'a lamp\u2028a \u2029harbour, "quoted"\tand \\ ruled\n'
    assert_same(vectors(connection, text, task_type="passage"), embed(server, [text])[0])


def test_error_is_read(connection: http.client.HTTPConnection, expected: np.ndarray) -> None:
    with pytest.raises(VectorizeFailed, match=r"fail with status 400: .*dimensions"):
        vectors(connection, TEXTS[0], task_type="passage", dimensions=385)
    assert_same(vectors(connection, TEXTS[0], task_type="passage"), expected[0])  # on the same connection


@pytest.mark.parametrize("path", ["/.well-known/ready", "/.well-known/live"])
def test_triton_client_checks_readiness(connection: http.client.HTTPConnection, path: str) -> None:
    assert send(connection, "GET", path) == (204, b"")


def test_server_metadata_describes_the_server(connection: http.client.HTTPConnection) -> None:
    status, body = send(connection, "GET", "/meta")
    assert status == 200
    assert unmarshal(body, {})


def test_texts_and_images(both: Server) -> None:
    picture = encode(gradient_image())
    connection = http.client.HTTPConnection(both.url.removeprefix("http://"), timeout=30)
    bare = base64.b64encode(picture).decode()
    mixed = vectorize(connection, TEXTS, [bare])
    assert_same(mixed["textVectors"], embed(both, TEXTS))
    of_picture = embed(both, [{"image": to_data_url(picture)}], model="scenes-vit")
    assert_same(mixed["imageVectors"], of_picture)
    assert_same(vectorize(connection, [], [bare])["imageVectors"], of_picture)
    assert_same(vectorize(connection, TEXTS[:1], [])["textVectors"], embed(both, TEXTS[:1]))
    with pytest.raises(VectorizeFailed, match=r"fail with status 400: \w+"):
        vectorize(connection, [], ["bm8gcGljdHVyZQ=="])
    connection.close()
