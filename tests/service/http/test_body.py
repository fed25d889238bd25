"""Tests of encoded bodies: decoded within the limit, or refused."""

import gzip
import json
import threading
import zlib
from functools import partial

import pytest
from starlette.testclient import TestClient

from service.app_state import AppState
from tests.service.conftest import URL, VALID_BODY, ClientFactory

gzipped = partial(gzip.compress, mtime=0)
"""Compress without a timestamp: pytest derives the test ids from the bytes, so they must not change."""

BODY = json.dumps(VALID_BODY).encode()
LIMIT = 1_000_000


def post(client: TestClient, content: bytes, coding: str) -> tuple[int, str | None]:
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    answer = client.post(URL, content=content, headers=headers)
    return answer.status_code, answer.json().get("error", {}).get("code")


@pytest.mark.parametrize(
    ("content", "coding"),
    [
        (gzipped(BODY), "gzip"),
        (gzipped(BODY), "X-GZIP"),
        (gzipped(BODY[:20]) + gzipped(BODY[20:]), "gzip"),
        (zlib.compress(BODY), "deflate"),
        (gzipped(BODY + b" " * 900_000), "gzip"),
        (gzipped(BODY[:-1] + b" " * 5_000 + b"}", compresslevel=0), "gzip"),
        (BODY, "identity"),
    ],
)
def test_compressed_body_equals_plain_body(serving: ClientFactory, content: bytes, coding: str) -> None:
    with serving(max_body_bytes=LIMIT) as client:
        assert post(client, content, coding) == (200, None)


@pytest.mark.parametrize(
    ("content", "coding", "expected"),
    [
        (gzipped(b" " * (LIMIT + 1)), "gzip", (413, "body_too_large")),
        (gzipped(b" " * 400_000) * 3, "gzip", (413, "body_too_large")),
        (gzipped(b"0" * 200_000_000), "gzip", (413, "body_too_large")),
        (gzipped(BODY)[:-5], "gzip", (400, "invalid_json")),
        (gzipped(BODY)[:-1] + b"?", "gzip", (400, "invalid_json")),
        (gzipped(BODY) + b"more", "gzip", (400, "invalid_json")),
        (BODY, "gzip", (400, "invalid_json")),
        (b"", "gzip", (400, "invalid_json")),
        (BODY, "br", (415, "unsupported_media_type")),
        (gzipped(BODY), "gzip, gzip", (415, "unsupported_media_type")),
    ],
)
def test_compression_bombs_and_corrupt_bodies_are_rejected(
    serving: ClientFactory, content: bytes, coding: str, expected: tuple[int, str]
) -> None:
    with serving(max_body_bytes=LIMIT) as client:
        assert post(client, content, coding) == expected
        assert client.post(URL, json=VALID_BODY).status_code == 200


def test_inflation_does_not_wait_for_image_decoding(serving: ClientFactory) -> None:
    """Large enough to be decoded on a thread, while all threads that decode images are at work."""
    content = gzipped(BODY[:-1] + b" " * 5_000 + b"}", compresslevel=0)
    with serving(threads=1) as client:
        over = threading.Event()
        state: AppState = client.app.state.headlight  # type: ignore[attr-defined]
        held = state.image_pool.submit(over.wait, 10)
        try:
            assert post(client, content, "gzip") == (200, None)
            assert not held.done()
        finally:
            over.set()
