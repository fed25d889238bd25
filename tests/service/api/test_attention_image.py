"""Tests of `POST /v1/attention/image`: an image for every text and image, and a typed error for everything else."""

import asyncio
import base64
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from service.visualization.colormap import COLORMAP
from service.visualization.heatmap import OVERLAY_OPACITY
from service.visualization.page import MAX_PAGE_PIXELS, Page
from tests.images import encode, gradient_image, noisy_image, png_with_orientation, to_data_url
from tests.server import Server, serve
from tests.service.visualization.strings import nasty_strings

URL = "/v1/attention/image"
GOOD = encode(gradient_image(90, 60))


@pytest.fixture(scope="module")
def served(tiny: Path, tiny_image: Path, tiny_conv: Path) -> Iterator[Server]:
    with serve(tiny, tiny_image, tiny_conv, max_image_pixels=400_000) as running:
        yield running


def post(served: Server, model: str = "tiny", input: object = "the old lamp", **options: object) -> httpx.Response:
    body = {"model": model, "input": input, **options}
    return httpx.post(f"{served.url}{URL}", json=body, timeout=60)


def drawn(answer: httpx.Response) -> np.ndarray:
    """`[y, x, 3]`"""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    image = Image.open(io.BytesIO(answer.content))
    assert (image.format, image.mode) == ("PNG", "RGB")
    return np.asarray(image).astype(int)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("image/svg+xml", "image/svg+xml"),
        ("image/svg+xml, */*;q=0.8", "image/svg+xml"),
        ("image/png;q=0.5, image/svg+xml", "image/svg+xml"),
        ("image/svg+xml;q=0.5, image/png", "image/png"),
        ("image/avif,image/webp,image/svg+xml,image/*,*/*;q=0.8", "image/png"),
        ("text/html", "image/png"),
        ("*/*", "image/png"),
    ],
)
def test_client_chooses_png_or_svg(served: Server, accept: str, expected: str) -> None:
    file = encode(gradient_image(48, 32), "PNG")
    headers = {"Accept": accept}
    of_text = httpx.post(f"{served.url}{URL}", json={"model": "tiny", "input": "the old lamp"}, headers=headers)
    of_image = httpx.post(
        f"{served.url}{URL}?model=tiny-image", content=file, headers=headers | {"Content-Type": "image/png"}
    )
    for answer in (of_text, of_image):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == expected
        assert answer.headers["vary"] == "Accept"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.content.startswith(b"<svg" if expected == "image/svg+xml" else b"\x89PNG")


def weights(served: Server, model: str, input: object, attention: object = True) -> dict[str, Any]:
    body = {"model": model, "input": [input], "attention": attention}
    found: dict[str, Any] = httpx.post(f"{served.url}/v1/embeddings", json=body).json()["data"][0]["attention"]
    return found


def test_heaviest_patch_has_the_maps_end(served: Server) -> None:
    """On a gray image, whose own color in the answer is known."""
    image = {"image": to_data_url(encode(Image.new("RGB", (64, 64), (128, 128, 128))))}
    attention = weights(served, "tiny-image", image)
    pixels = drawn(post(served, "tiny-image", image, width_px=400))
    x0, y0, x1, y1 = attention["grid"]["boxes_px"][int(np.argmax(attention["values"]))]
    page = Page(400)
    x, y = (int(page.margin_px + (a + b) / 2 * page.content_width_px / 64) for a, b in ((x0, x1), (y0, y1)))
    np.testing.assert_allclose(
        pixels[y, x], (1 - OVERLAY_OPACITY) * 128 + OVERLAY_OPACITY * COLORMAP[-1].astype(float), atol=2
    )


@pytest.mark.parametrize(
    "file",
    [
        png_with_orientation(gradient_image(90, 60), 6),
        encode(noisy_image(64, 64).convert("CMYK"), "JPEG"),
        encode(Image.new("RGBA", (40, 30), (255, 0, 0, 90))),
        encode(gradient_image().convert("P")),
        encode(gradient_image(), "WEBP"),
        encode(Image.new("L", (1, 1))),
        encode(Image.new("RGB", (1, 10_000))),
        encode(Image.new("RGB", (10_000, 1))),
    ],
    ids=["EXIF", "CMYK", "alpha", "palette", "WebP", "1x1", "1x10000", "10000x1"],
)
def test_every_kind_of_image(served: Server, file: bytes) -> None:
    pixels = drawn(post(served, "tiny-image", {"image": to_data_url(file)}))
    assert 400 <= pixels.shape[1] <= 2_000
    assert pixels.shape[0] * pixels.shape[1] < MAX_PAGE_PIXELS * 1.2
    raw = httpx.post(f"{served.url}{URL}?model=tiny-image", content=file, headers={"Content-Type": "image/png"})
    np.testing.assert_array_equal(drawn(raw), pixels)


def test_image_is_drawn_as_its_viewer_sees_it(served: Server) -> None:
    """EXIF's sixth orientation: the file lies on its side."""
    upright, on_its_side = (
        drawn(post(served, "tiny-image", {"image": to_data_url(file)}, width_px=400))
        for file in (encode(gradient_image(90, 60)), png_with_orientation(gradient_image(90, 60), 6))
    )
    assert upright.shape[0] < 400 < on_its_side.shape[0]


def test_widths(served: Server) -> None:
    image = {"image": to_data_url(GOOD)}
    large = {"image": to_data_url(encode(gradient_image(700, 500)))}
    assert drawn(post(served)).shape[1] == 800
    assert drawn(post(served, "tiny-image", image)).shape[1] == 400
    assert drawn(post(served, "tiny-image", large)).shape[1] == 700
    for width in (200, 4_096):
        assert drawn(post(served, width_px=width)).shape[1] == width
        assert drawn(post(served, "tiny-image", image, width_px=width)).shape[1] == width
    assert drawn(post(served, width_px=400.0)).shape[1] == 400


@pytest.mark.parametrize("query", ["pool", "all", 2])
@pytest.mark.parametrize("reduce", ["rollout", "last", "mean", "max", "raw"])
def test_every_reduction_of_either_modality(served: Server, reduce: str, query: object) -> None:
    attention = {"reduce": reduce, "query": query}
    assert len(np.unique(drawn(post(served, attention=attention)))) > 20
    answer = post(served, "tiny-image", {"image": to_data_url(GOOD)}, attention=attention)
    assert len(np.unique(drawn(answer))) > 20


def test_image_of_one_layer_head_and_query_is_a_heat_map(served: Server) -> None:
    image = {"image": to_data_url(encode(Image.new("RGB", (64, 64), (128, 128, 128))))}
    attention = {"reduce": "raw", "query": 0, "layers": [1], "heads": [0]}
    values = np.array(weights(served, "tiny-image", image, attention)["values"])[0, 0, 1:]
    pixels = drawn(post(served, "tiny-image", image, attention=attention, width_px=400))
    row, column = divmod(int(values.argmax()), 4)
    at = (int(8 + (row + 0.5) * 96), int(8 + (column + 0.5) * 96))
    np.testing.assert_allclose(
        pixels[at], (1 - OVERLAY_OPACITY) * 128 + OVERLAY_OPACITY * COLORMAP[-1].astype(float), atol=2
    )


def test_options_in_the_url(served: Server) -> None:
    def ask(query: str) -> httpx.Response:
        url = f"{served.url}{URL}?model=tiny-image&{query}"
        return httpx.post(url, content=GOOD, headers={"Content-Type": "image/png"})

    image = {"image": base64.b64encode(GOOD).decode()}
    attention = {"reduce": "raw", "query": "pool", "layers": [1, 0], "heads": [1]}
    expected = drawn(post(served, "tiny-image", image, attention=attention, width_px=300))
    np.testing.assert_array_equal(drawn(ask("reduce=raw&query=pool&layers=1,0&heads=1&width_px=300")), expected)
    for query, param in (
        ("depth=1", "query"),
        ("width_px=wide", "width_px"),
        ("width_px=-300", "width_px"),
        ("query=-1", "attention.query"),
        ("query=99999999999999999999", "attention.query"),
        ("reduce=raw&layers=9", "attention.layers"),
        ("reduce=median", "attention.reduce"),
        ("top_k=3", "query"),
    ):
        answer = ask(query)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), query


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"width_px": 199}, 400, "invalid_parameter", "width_px"),
        ({"width_px": 4_097}, 400, "invalid_parameter", "width_px"),
        ({"width_px": "wide"}, 400, "invalid_input", "width_px"),
        ({"input": ["a", "b"]}, 400, "invalid_input", "input"),
        ({"input": ["a"]}, 400, "invalid_input", "input"),
        ({"input": 3}, 400, "invalid_input", "input"),
        ({"input": {}}, 400, "invalid_input", "input"),
        ({"input": {"text": "a", "image": "b"}}, 400, "invalid_input", "input"),
        ({"input": {"image": "aGk="}, "model": "tiny-image"}, 400, "invalid_image", "input"),
        ({"input": {"image": "http://host/a.png"}, "model": "tiny-image"}, 400, "url_not_allowed", "input"),
        ({"input": {"image": "aGk="}}, 400, "invalid_input", "input"),
        ({"input": "a", "model": "tiny-image"}, 400, "invalid_input", "input"),
        ({"model": "other"}, 404, "model_not_found", "model"),
        ({"model": None}, 400, "invalid_input", "model"),
        ({"attention": False}, 400, "invalid_input", "attention"),
        ({"attention": {"encoding": "base64"}}, 400, "invalid_parameter", "attention.encoding"),
        ({"attention": {"reduce": "median"}}, 400, "invalid_parameter", "attention.reduce"),
        ({"attention": {"layers": [0]}}, 400, "invalid_parameter", "attention.layers"),
        ({"attention": {"reduce": "raw", "heads": [7]}}, 400, "invalid_parameter", "attention.heads"),
        ({"attention": {"reduce": "raw", "layers": [0] * 1_000}}, 400, "invalid_parameter", "attention.layers"),
        ({"attention": {"query": 99}}, 400, "invalid_parameter", "attention.query"),
    ],
)  # fmt: skip
def test_refusals(served: Server, body: dict[str, object], status: int, code: str, param: str) -> None:
    answer = httpx.post(f"{served.url}{URL}", json={"model": "tiny", "input": "the lamp"} | body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param), error


def test_top_k_is_refused(served: Server) -> None:
    answer = post(served, attention={"top_k": 3})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_parameter")


def test_model_without_attention_says_so(served: Server) -> None:
    error = post(served, "tiny-conv", {"image": to_data_url(GOOD)}).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_parameter", "attention")


def test_image_over_the_pixel_limit_is_refused(served: Server) -> None:
    error = post(served, "tiny-image", {"image": to_data_url(encode(gradient_image(800, 600)))}).json()["error"]
    assert (error["code"], error["param"]) == ("image_too_large", "input")


def test_body_that_is_neither_json_nor_image_is_refused(served: Server) -> None:
    answer = httpx.post(f"{served.url}{URL}", content=b"x", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")


def test_nastiest_texts_are_drawn(served: Server) -> None:
    with httpx.Client(base_url=served.url, timeout=60) as client:
        for text in nasty_strings(150):
            assert drawn(client.post(URL, json={"model": "tiny", "input": text, "width_px": 240})).shape[1] == 240


def test_text_far_over_the_models_limit_is_bounded(served: Server) -> None:
    began = time.monotonic()
    pixels = drawn(post(served, input="the lamp " * 100_000, width_px=4_096))
    assert pixels.shape[0] * pixels.shape[1] < MAX_PAGE_PIXELS * 1.2
    assert time.monotonic() - began < 30


def test_malformed_deadline_is_refused(served: Server) -> None:
    answer = httpx.post(
        f"{served.url}{URL}", json={"model": "tiny", "input": "a"}, headers={"X-Request-Timeout-Ms": "x"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_parameter")


def test_drawing_does_not_hold_up_the_event_loop(served: Server) -> None:
    """While large images are drawn, what needs no drawing is answered at once."""

    async def scenario() -> tuple[list[float], float]:
        async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
            began = time.monotonic()
            body = {"model": "tiny", "input": "the old lamp " * 2_000, "width_px": 4_096}
            slow = [asyncio.create_task(client.post(URL, json=body)) for _ in range(3)]
            waits = []
            while not all(task.done() for task in slow):
                asked = time.monotonic()
                await client.get("/livez")
                waits.append(time.monotonic() - asked)
                await asyncio.sleep(0.01)
            assert [(await task).status_code for task in slow] == [200] * 3
            return sorted(waits), time.monotonic() - began

    waits, took = asyncio.run(scenario())
    assert waits[len(waits) // 2] < took / 10
