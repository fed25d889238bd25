"""Tests of invalid images: each gets its typed error, and none blocks the server."""

import asyncio
import base64
import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.images import (
    PNG_WITHOUT_PALETTE,
    encode,
    gradient_image,
    jpeg_header,
    png_header,
    png_with_orientation,
    progressive_jpeg,
)
from tests.server import Server, serve
from tests.service.test_request_errors import assert_error

URL = "/v1/embeddings"
MODEL = "tiny-image"
GOOD = {"image": base64.b64encode(encode(gradient_image())).decode()}


PSD = b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\x20\0\0\0\x20\0\x08\0\3" + bytes(40)


def as_input(file: bytes) -> dict[str, str]:
    return {"image": base64.b64encode(file).decode()}


@pytest.fixture(scope="module")
def strict(tiny_image: Path, tiny: Path) -> Iterator[Server]:
    """A server that takes up to a megapixel."""
    with serve(tiny_image, tiny, max_image_pixels=1_000_000) as running:
        yield running


@pytest.fixture
def client(strict: Server) -> Iterator[httpx.Client]:
    """A client whose server must still answer a good request when the test is over."""
    with httpx.Client(base_url=strict.url, timeout=30) as client:
        yield client
        assert client.post(URL, json={"model": MODEL, "input": GOOD}).status_code == 200


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("a lamp", "invalid_input"),
        ({"text": "a lamp"}, "invalid_input"),
        ([1, 2], "invalid_input"),
        ({"image": 3}, "invalid_input"),
        ({"image": ""}, "invalid_image"),
        ({"image": "no base64!"}, "invalid_image"),
        ({"image": "münchen"}, "invalid_image"),
        ({"image": "data:image/png,%89PNG"}, "invalid_image"),
        (as_input(b"no image"), "invalid_image"),
        (as_input(encode(gradient_image())[:100]), "invalid_image"),
        (as_input(encode(gradient_image(), "JPEG")[:600]), "invalid_image"),
        (as_input(PNG_WITHOUT_PALETTE), "invalid_image"),
        (as_input(progressive_jpeg(gradient_image(1_000, 1_000), 40)), "invalid_image"),
        (as_input(encode(gradient_image(), "GIF")), "unsupported_image_format"),
        (as_input(encode(gradient_image(), "TIFF")), "unsupported_image_format"),
        (
            as_input(encode(gradient_image(), "GIF", save_all=True, append_images=[gradient_image()])),
            "unsupported_image_format",
        ),
        (as_input(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "unsupported_image_format"),
        (as_input(PSD), "unsupported_image_format"),
        (as_input(pickle.dumps({"a": 1})), "invalid_image"),
        ({"image": "data:image/png;base64,"}, "invalid_image"),
        ({"image": "data:text/plain;base64,aGFsbG8="}, "invalid_image"),
        ({"image": GOOD["image"][:-3]}, "invalid_image"),
        ({"image": GOOD["image"].replace("+", "-").replace("/", "_")}, "invalid_image"),
        (as_input(png_header(60_000, 60_000)), "image_too_large"),
        (as_input(jpeg_header(65_535, 65_535)), "image_too_large"),
        (as_input(encode(Image.new("1", (1_000, 1_001)))), "image_too_large"),
        ({"image": "https://example.com/cat.png"}, "url_not_allowed"),
        ({"image": "file:///etc/hostname"}, "url_not_allowed"),
        ({"image": "http://169.254.169.254/latest/meta-data"}, "url_not_allowed"),
        ({"image": "http://127.0.0.1:1/a.png"}, "url_not_allowed"),
        ({"image": "http://2130706433:1/a.png"}, "url_not_allowed"),
        ({"image": "http://[::ffff:127.0.0.1]:1/a.png"}, "url_not_allowed"),
        ({"image": " HTTP://127.0.0.1:1/a.png"}, "url_not_allowed"),
        ({"image": "//127.0.0.1:1/a.png"}, "url_not_allowed"),
    ],
)
def test_invalid_image_names_its_input(client: httpx.Client, bad: object, code: str) -> None:
    body = {"model": MODEL, "input": [GOOD, GOOD, GOOD, bad, {"image": ""}]}
    message = assert_error(client.post(URL, json=body), 400, code, "input[3]")
    assert "example" not in message
    assert "/etc" not in message


@pytest.mark.parametrize(
    "file",
    [
        encode(gradient_image().convert("CMYK"), "JPEG"),
        encode(Image.fromarray(np.arange(1_024, dtype=np.uint16).reshape(32, 32) * 60)),
        encode(gradient_image().convert("RGBA")),
        encode(gradient_image().convert("LA")),
        encode(gradient_image().convert("P")),
        encode(gradient_image().convert("1")),
        encode(gradient_image(1, 1)),
        encode(gradient_image(1, 10_000)),
        encode(gradient_image(10_000, 1), "WEBP", lossless=True),
        *(png_with_orientation(gradient_image(), orientation) for orientation in range(1, 9)),
    ],
)
def test_unusual_images_are_embedded(client: httpx.Client, file: bytes) -> None:
    answer = client.post(URL, json={"model": MODEL, "input": as_input(file), "attention": True})
    assert answer.status_code == 200, answer.text
    (entry,) = answer.json()["data"]
    assert np.linalg.norm(entry["embedding"]) == pytest.approx(1, abs=1e-5)
    assert sum(entry["attention"]["values"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("attention", "code", "param"),
    [
        ({"query": 16}, "invalid_parameter", "attention.query"),
        ({"reduce": "raw", "query": 17}, "invalid_parameter", "attention.query"),
        ({"reduce": "raw", "layers": [2]}, "invalid_parameter", "attention.layers"),
        ({"reduce": "raw", "heads": [2]}, "invalid_parameter", "attention.heads"),
    ],
)
def test_image_rejects_text_only_attention_options(
    client: httpx.Client, attention: dict[str, object], code: str, param: str
) -> None:
    assert_error(client.post(URL, json={"model": MODEL, "input": GOOD, "attention": attention}), 400, code, param)


def test_prefix_position_needs_raw_weights(client: httpx.Client) -> None:
    body = {"model": MODEL, "input": GOOD, "attention": {"reduce": "raw", "query": 16}}
    assert client.post(URL, json=body).json()["data"][0]["attention"]["shape"] == [2, 2, 17]


def test_image_for_a_text_model_is_refused(client: httpx.Client) -> None:
    body = {"model": "tiny", "input": ["the lamp", GOOD]}
    assert_error(client.post(URL, json=body), 400, "invalid_input", "input[1]")
    assert_error(
        client.post(URL, json={**body, "input": "aGk=", "modality": "image"}), 400, "invalid_input", "input[0]"
    )


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("", "invalid_input", "model"),
        ("model=tiny", "invalid_input", "input[0]"),
        ("model=tiny-image&dimensions=64", "invalid_parameter", "dimensions"),
        ("model=tiny-image&dimensions=99999999999999999999", "invalid_parameter", "dimensions"),
        ("model=tiny-image&dimensions=-1", "invalid_parameter", "dimensions"),
        ("model=tiny-image&dimensions=0", "invalid_parameter", "dimensions"),
        ("model=tiny-image&dimensions=--1", "invalid_input", "dimensions"),
        ("model=tiny-image&dimensions=few", "invalid_input", "dimensions"),
        ("model=tiny-image&attention=median", "invalid_parameter", "attention.reduce"),
        ("model=tiny-image&encoding_format=hex", "invalid_parameter", "encoding_format"),
        ("model=tiny-image&attention=rollout&layers=0", "invalid_parameter", "query"),
        ("model=tiny-image&truncate=maybe", "invalid_parameter", "truncate"),
    ],
)
def test_options_in_the_url(client: httpx.Client, query: str, code: str, param: str) -> None:
    answer = client.post(f"{URL}?{query}", content=encode(gradient_image()), headers={"Content-Type": "image/png"})
    assert_error(answer, 400, code, param)


def test_number_in_the_url_may_begin_with_zeros(client: httpx.Client) -> None:
    url = f"{URL}?model={MODEL}&dimensions=00000000000000000007"
    answer = client.post(url, content=encode(gradient_image()), headers={"Content-Type": "image/png"})
    assert len(answer.json()["data"][0]["embedding"]) == 7


def test_invalid_image_body(client: httpx.Client) -> None:
    def post(content: bytes, kind: str) -> httpx.Response:
        return client.post(f"{URL}?model={MODEL}", content=content, headers={"Content-Type": kind})

    assert_error(post(b"", "image/png"), 400, "invalid_image", "input[0]")
    assert_error(post(encode(gradient_image(), "GIF"), "image/png"), 400, "unsupported_image_format", "input[0]")
    assert_error(post(encode(gradient_image(), "GIF"), "image/gif"), 415, "unsupported_media_type")
    assert_error(post(b"\xff\xd8\xff" * 7_000_000, "image/jpeg"), 413, "body_too_large")


def test_image_decoding_does_not_block_the_event_loop(tiny_image: Path) -> None:
    """While large images are decoded, what needs no decoding is answered at once."""
    large = as_input(encode(gradient_image(5_000, 4_900), "PNG"))

    async def scenario(url: str) -> tuple[list[float], float]:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            began = time.monotonic()
            body = {"model": MODEL, "input": [large] * 8}
            slow = asyncio.create_task(client.post(URL, json=body))
            waits = []
            while not slow.done():
                asked = time.monotonic()
                await client.get("/livez")
                waits.append(time.monotonic() - asked)
                await asyncio.sleep(0.01)
            assert (await slow).status_code == 200
            return sorted(waits), time.monotonic() - began

    with serve(tiny_image, threads=1) as running:
        waits, took = asyncio.run(scenario(running.url))
    assert took > 0.5, "the images must take long enough to show anything"
    assert waits[len(waits) // 2] < took / 10
