"""Attention over HTTP against the trained original in eager PyTorch."""

import base64
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from models.pretrained.text import load_text
from tests.conftest import MINILM
from tests.server import Server

TEXTS = ["A lighthouse keeper reads by the lamp.", "Short.", "", "naïve café — 日本語 🙂 " * 12]


def ask(server: Server, texts: list[str], attention: object) -> list[dict[str, Any]]:
    answer = httpx.post(
        f"{server.url}/v1/embeddings", json={"model": MINILM, "input": texts, "attention": attention}, timeout=60
    )
    assert answer.status_code == 200, answer.text
    return [entry["attention"] for entry in answer.json()["data"]]


@pytest.fixture(scope="module")
def eager(minilm_source: Path) -> list[np.ndarray]:
    """[l, h, n, n] of each text, tokenized and run by transformers."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm_source)
    model = load_text(minilm_source, "bert", attention="eager")
    with torch.no_grad():
        encoded = [tokenizer(text, return_tensors="pt", truncation=True, max_length=256) for text in TEXTS]
        return [torch.cat(model(**inputs, output_attentions=True).attentions).numpy() for inputs in encoded]


def test_raw_weights_are_eager_pytorchs(server: Server, eager: list[np.ndarray]) -> None:
    for got, expected in zip(ask(server, TEXTS, {"reduce": "raw"}), eager, strict=True):
        values = np.array(got["values"])
        assert got["shape"] == list(values.shape) == list(expected.shape)
        np.testing.assert_allclose(values, expected, atol=1e-5)
        np.testing.assert_allclose(values.sum(-1), 1, atol=1e-5)


def test_true_is_the_pooled_rollout_over_the_items_own_tokens(server: Server, eager: list[np.ndarray]) -> None:
    for text, got, weights in zip(TEXTS, ask(server, TEXTS, True), eager, strict=True):
        n = weights.shape[-1]
        expected = np.eye(n)
        for layer in weights.astype(np.float64):
            expected = (layer.mean(0) + np.eye(n)) / 2 @ expected
        assert (got["reduce"], got["query"], got["shape"], got["grid"]) == ("rollout", "pool", [n], None)
        np.testing.assert_allclose(got["values"], expected.mean(0), atol=1e-5)
        assert abs(sum(got["values"]) - 1) < 1e-5
        assert len(got["tokens"]) == n
        assert got["tokens"][0] == {"text": "[CLS]", "start": 0, "end": 0}
        words = [text[token["start"] : token["end"]].lower() for token in got["tokens"][1:-1]]
        assert all(words)


@pytest.mark.parametrize("reduce", ["rollout", "last", "mean", "max"])
def test_matrices_rows_and_pools_of_one_reduction_belong_together(server: Server, reduce: str) -> None:
    texts = TEXTS[:2]
    everything, pooled, third = (ask(server, texts, {"reduce": reduce, "query": q}) for q in ("all", "pool", 2))
    for matrix, pool, row in zip(everything, pooled, third, strict=True):
        values = np.array(matrix["values"])
        assert values.shape == (len(matrix["tokens"]),) * 2
        np.testing.assert_allclose(values.sum(-1), 1, atol=1e-5)
        np.testing.assert_allclose(values.mean(0), pool["values"], atol=1e-6)
        np.testing.assert_allclose(values[2], row["values"], atol=1e-6)


def test_layers_heads_and_rows_of_raw_weights(server: Server, eager: list[np.ndarray]) -> None:
    (got,) = ask(server, TEXTS[:1], {"reduce": "raw", "layers": [5, 0], "heads": [3], "query": 4})
    np.testing.assert_allclose(got["values"], eager[0][[5, 0]][:, [3], 4], atol=1e-5)
    (twice,) = ask(server, TEXTS[:1], {"reduce": "raw", "layers": [2, 2], "heads": [3, 3]})
    np.testing.assert_allclose(twice["values"], eager[0][[2, 2]][:, [3, 3]], atol=1e-5)
    (pooled,) = ask(server, TEXTS[:1], {"reduce": "raw", "query": "pool"})
    np.testing.assert_allclose(pooled["values"], eager[0].mean(-2), atol=1e-5)


def test_base64_is_little_endian_float16(server: Server, eager: list[np.ndarray]) -> None:
    (got,) = ask(server, TEXTS[:1], {"reduce": "raw", "encoding": "base64"})
    values = np.frombuffer(base64.b64decode(got["values"]), "<f2").reshape(got["shape"])
    np.testing.assert_allclose(values, eager[0], atol=1e-3)
    np.testing.assert_allclose(values.astype(np.float32).sum(-1), 1, atol=2e-3)


def test_attention_leaves_the_embedding_as_it_is(server: Server) -> None:
    both = []
    for attention in (None, True):
        body = {"model": MINILM, "input": TEXTS, "attention": attention}
        data = httpx.post(f"{server.url}/v1/embeddings", json=body).json()["data"]
        both.append([entry["embedding"] for entry in data])
    without, with_attention = map(np.array, both)
    np.testing.assert_allclose(with_attention, without, atol=1e-5)
