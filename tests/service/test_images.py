"""Tests of images over HTTP against the trained original in PyTorch."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import torch
from PIL import Image

from models.attention import AttentionRecorder
from models.encoders import checkpoint
from models.encoders.image import ImageEncoder
from tests.images import encode, gradient_image, png_with_orientation, to_data_url
from tests.server import Server, serve

MODEL = "tiny-image"
FILES = [
    encode(gradient_image(90, 60), "PNG"),
    encode(gradient_image(32, 32), "JPEG"),
    encode(gradient_image(20, 70), "WEBP"),
]


@pytest.fixture(scope="module")
def images(tiny_image: Path, tiny_conv: Path, tiny: Path) -> Iterator[Server]:
    """A server of two image models and a text model."""
    with serve(tiny_image, tiny_conv, tiny) as running:
        yield running


@pytest.fixture(scope="module")
def original(tiny_image_source: Path) -> ImageEncoder:
    encoder = checkpoint.load(tiny_image_source)
    assert isinstance(encoder, ImageEncoder)
    return encoder


def ask(server: Server, files: list[bytes], **options: object) -> list[dict[str, Any]]:
    body = {"model": MODEL, "input": [{"image": to_data_url(file)} for file in files], **options}
    answer = httpx.post(f"{server.url}/v1/embeddings", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


def scaled(file: bytes) -> torch.Tensor:
    image = Image.open(io.BytesIO(file)).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image))[None]


@torch.no_grad()
def watched(encoder: ImageEncoder, file: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The encoder's vector `[e]`, of length 1, and its weights `[l, h, s, s]`."""
    observer = AttentionRecorder(True)
    vector = encoder(scaled(file), observer)[0]
    return (vector / vector.norm()).numpy(), torch.cat(observer.weights).numpy()


def test_embeddings_and_raw_weights_are_the_originals(images: Server, original: ImageEncoder) -> None:
    for file, entry in zip(FILES, ask(images, FILES, attention={"reduce": "raw"}), strict=True):
        vector, weights = watched(original, file)
        np.testing.assert_allclose(entry["embedding"], vector, atol=1e-5)
        attention = entry["attention"]
        assert attention["shape"] == [2, 2, 17, 17]
        assert attention["grid"]["prefix"] == 1
        np.testing.assert_allclose(attention["values"], weights, atol=1e-5)
        assert weights.std() > 0.01, "attention that is uniform would show nothing"


@pytest.mark.parametrize("reduce", ["rollout", "last", "mean", "max"])
def test_reductions_cover_patches_only(images: Server, reduce: str) -> None:
    everything, pooled, fifth = (
        ask(images, FILES, attention={"reduce": reduce, "query": q}) for q in ("all", "pool", 5)
    )
    for entry, pool, row in zip(everything, pooled, fifth, strict=True):
        values = np.array(entry["attention"]["values"])
        assert values.shape == (16, 16)
        np.testing.assert_allclose(values.sum(-1), 1, atol=1e-5)
        np.testing.assert_allclose(row["attention"]["values"], values[5], atol=1e-6)
        assert abs(sum(pool["attention"]["values"]) - 1) < 1e-5
        assert pool["attention"]["grid"]["prefix"] == 0
        assert pool["attention"]["tokens"] is None


def test_last_layers_pool_is_what_cls_attends_to(images: Server, original: ImageEncoder) -> None:
    (entry,) = ask(images, FILES[:1], attention={"reduce": "last"})
    from_cls = watched(original, FILES[0])[1][-1].mean(0)[0, 1:]
    np.testing.assert_allclose(entry["attention"]["values"], from_cls / from_cls.sum(), atol=1e-5)


def test_boxes_are_in_the_image_as_it_is_seen(images: Server) -> None:
    upright, on_its_side = ask(
        images, [encode(gradient_image(90, 60)), png_with_orientation(gradient_image(90, 60), 6)], attention=True
    )
    grid = upright["attention"]["grid"]
    assert (grid["rows"], grid["columns"]) == (4, 4)
    assert grid["boxes_px"][0] == [0, 0, 22.5, 15]
    assert grid["boxes_px"][5] == [22.5, 15, 45, 30]
    assert on_its_side["attention"]["grid"]["boxes_px"][-1] == [45, 67.5, 60, 90]


def test_image_encodings_are_equivalent(images: Server) -> None:
    plain = base64.b64encode(FILES[0]).decode()
    wrapped = base64.encodebytes(FILES[0]).decode()
    expected = ask(images, FILES[:1], attention=True)
    bodies: list[dict[str, object]] = [
        {"input": {"image": plain}},
        {"input": {"image": f"DATA:image/jpeg;charset=x;base64,{wrapped}"}},
        {"input": plain, "modality": "image"},
        {"input": [to_data_url(FILES[0])], "modality": "image"},
    ]
    for body in bodies:
        answer = httpx.post(f"{images.url}/v1/embeddings", json={"model": MODEL, "attention": True, **body})
        assert answer.json()["data"] == expected
        assert answer.json()["usage"] == {"prompt_tokens": 17, "total_tokens": 17}


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "image/webp; q=1"])
def test_image_can_be_the_body(images: Server, kind: str) -> None:
    def post(query: str) -> dict[str, Any]:
        url = f"{images.url}/v1/embeddings?model={MODEL}&{query}"
        answer = httpx.post(url, content=FILES[0], headers={"Content-Type": kind})
        assert answer.status_code == 200, answer.text
        entry: dict[str, Any] = answer.json()["data"][0]
        return entry

    (expected,) = ask(images, FILES[:1], attention={"reduce": "mean"}, dimensions=4)
    assert post("attention=mean&dimensions=4") == expected
    assert post("attention=true&truncate=true")["attention"]["reduce"] == "rollout"
    assert "attention" not in post("attention=false&encoding_format=base64")


def test_answer_does_not_depend_on_its_neighbors(images: Server) -> None:
    together = [entry["embedding"] for entry in ask(images, FILES * 20)]
    alone = [ask(images, [file])[0]["embedding"] for file in FILES]
    np.testing.assert_allclose(together, alone * 20, atol=1e-6)


def test_openai_client_sends_images_by_their_modality(images: Server) -> None:
    with openai.OpenAI(base_url=f"{images.url}/v1", api_key="unused", max_retries=0) as client:
        answer = client.embeddings.create(
            model=MODEL, input=[to_data_url(file) for file in FILES], extra_body={"modality": "image"}
        )
    np.testing.assert_allclose(
        [entry.embedding for entry in answer.data], [entry["embedding"] for entry in ask(images, FILES)], atol=1e-6
    )


def test_model_without_attention_embeds_and_says_so(images: Server) -> None:
    assert len(ask(images, FILES, model="tiny-conv")[0]["embedding"]) == 12
    body = {"model": "tiny-conv", "input": {"image": to_data_url(FILES[0])}, "attention": True}
    error = httpx.post(f"{images.url}/v1/embeddings", json=body).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_parameter", "attention")
    assert "no attention" in error["message"]


def test_models_report_their_modality(images: Server) -> None:
    vit, conv, text = httpx.get(f"{images.url}/v1/models").json()["data"]
    assert (vit["modality"], vit["max_tokens"], vit["dimensions"], vit["space"]) == ("image", None, 12, MODEL)
    assert vit["image"] == {"rows_px": 32, "columns_px": 32}
    assert vit["grid"] == {"rows": 4, "columns": 4, "prefix": 1}
    assert vit["attention"] == {"layers": 2, "heads": 2}
    assert vit["provider"] == "CPUExecutionProvider"
    assert conv["attention"] is None
    assert conv["provider"] == "CPUExecutionProvider"
    assert (text["modality"], text["grid"]) == ("text", None)
