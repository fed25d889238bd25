"""Tests of our own encoders, exported and served together: the answers over HTTP match PyTorch."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from torch import Tensor

from models.artifact.graph_inputs import pack
from models.artifact.manifest import TextSpec
from models.attention import AttentionRecorder
from models.packed import PackedLayout, eager_attention
from models.preprocess.text import TextPreprocessor
from models.relevance import reduce_attention
from tests.encoders import CONFIGS, build_image_encoder, build_text_encoder, random_images, write_checkpoint
from tests.export_cache import ExportCache
from tests.images import encode_pixels
from tests.server import Server, serve

NAMES = ["text", "text-set", "vit", "vit-bare", "alternet", "nonlocal", "nonlocal-none", "dynamic-conv", "conv"]
TEXT = "The old keeper reads a lamp."


@pytest.fixture(scope="module")
def every(exports: ExportCache, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server of all of them."""
    sources = tmp_path_factory.mktemp("sources")
    with serve(*(exports(write_checkpoint(name, sources / name), name) for name in NAMES)) as running:
        yield running


def ask(server: Server, name: str, attention: object) -> httpx.Response:
    picture = base64.b64encode(encode_pixels(random_images(1)[0].numpy())).decode()
    item = TEXT if CONFIGS[name]["kind"] == "text" else {"image": picture}
    body = {"model": name, "input": [item], "attention": attention}
    return httpx.post(f"{server.url}/v1/embeddings", json=body, timeout=60)


@torch.no_grad()
def original(name: str, tokenizer: Path) -> tuple[Tensor, Tensor | None]:
    """The encoder's vector `[e]` of length 1, and its pooled rollout `[m]` if it attends."""
    if CONFIGS[name]["kind"] == "text":
        return _text(name, tokenizer)
    image, observer = build_image_encoder(name), AttentionRecorder(record=True)
    vector = image(random_images(1), observer)[0]
    weights = image.on_grid(observer.weights)
    seen = reduce_attention(weights, image.pooling_weights(observer), image.num_prefix_tokens)
    return vector / vector.norm(), seen["rollout"].pooled[0] if seen else None


def _text(name: str, tokenizer: Path) -> tuple[Tensor, Tensor]:
    encoder = build_text_encoder(name)
    (tokens,) = TextPreprocessor(tokenizer.read_text(), TextSpec(max_tokens=40, vocab_size=100, position_offset=0))(
        [TEXT]
    )
    packed = {key: torch.from_numpy(array) for key, array in pack([tokens.ids]).items()}
    layout = PackedLayout(packed["pack_index"], packed["unpack_index"], packed["lengths"], eager_attention)
    vector = encoder(packed["input_ids"], packed["position_ids"], layout)[0]
    matrix = reduce_attention(layout.weights, torch.ones(1, tokens.num_tokens), 0)["rollout"].matrix[0]
    return vector / vector.norm(), matrix[0] if encoder.pooling == "cls" else matrix.mean(dim=0)


@pytest.mark.parametrize("name", NAMES)
def test_embeddings_equal_the_original(name: str, every: Server, tmp_path: Path) -> None:
    vector, rollout = original(name, write_checkpoint("text", tmp_path) / "tokenizer.json")
    answer = ask(every, name, None if rollout is None else True)
    assert answer.status_code == 200, answer.text
    (entry,) = answer.json()["data"]
    np.testing.assert_allclose(entry["embedding"], vector, atol=1e-5)
    if rollout is not None:
        np.testing.assert_allclose(entry["attention"]["values"], rollout, atol=1e-5)
        assert sum(entry["attention"]["values"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", ["alternet", "nonlocal", "nonlocal-none"])
def test_feature_map_attention_has_pixel_boxes(name: str, every: Server) -> None:
    attention = ask(every, name, {"query": "all"}).json()["data"][0]["attention"]
    grid = attention["grid"]
    assert (grid["rows"], grid["columns"], grid["prefix"]) == (8, 8, 0)
    assert grid["boxes_px"][0] == [0, 0, 8, 8]
    assert grid["boxes_px"][-1] == [56, 56, 64, 64]
    assert attention["shape"] == [64, 64]


def test_layers_with_different_head_counts(every: Server) -> None:
    refused = ask(every, "alternet", {"reduce": "raw"}).json()["error"]
    assert (refused["code"], refused["param"]) == ("invalid_parameter", "attention.layers")
    for layer, heads in enumerate((6, 12, 24)):
        answer: Any = ask(every, "alternet", {"reduce": "raw", "layers": [layer]}).json()["data"][0]["attention"]
        assert answer["shape"] == [1, heads, 64, 64]


@pytest.mark.parametrize("name", ["dynamic-conv", "conv"])
def test_encoder_without_attention_is_rejected(name: str, every: Server) -> None:
    refused = ask(every, name, True)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "attention"
    assert "no attention" in refused.json()["error"]["message"]
