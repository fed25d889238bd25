"""Tests of attention over HTTP against the trained original in eager PyTorch."""

import base64
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from models.pretrained.text import load_text_model
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
    model = load_text_model(minilm_source, "bert", attention="eager")
    with torch.no_grad():
        encoded = [tokenizer(text, return_tensors="pt", truncation=True, max_length=256) for text in TEXTS]
        return [torch.cat(model(**inputs, output_attentions=True).attentions).numpy() for inputs in encoded]


def test_raw_weights_equal_eager_pytorch(server: Server, eager: list[np.ndarray]) -> None:
    for got, expected in zip(ask(server, TEXTS, {"reduce": "raw"}), eager, strict=True):
        values = np.array(got["values"])
        assert got["shape"] == list(values.shape) == list(expected.shape)
        np.testing.assert_allclose(values, expected, atol=1e-5)
        np.testing.assert_allclose(values.sum(-1), 1, atol=1e-5)


def test_attention_true_is_pooled_rollout(server: Server, eager: list[np.ndarray]) -> None:
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
def test_query_modes_of_a_reduction_are_consistent(server: Server, reduce: str) -> None:
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
    (some,) = ask(server, TEXTS[:1], {"reduce": "raw", "layers": [4, 2], "heads": [3, 1]})
    np.testing.assert_allclose(some["values"], eager[0][[4, 2]][:, [3, 1]], atol=1e-5)
    (pooled,) = ask(server, TEXTS[:1], {"reduce": "raw", "query": "pool"})
    np.testing.assert_allclose(pooled["values"], eager[0].mean(-2), atol=1e-5)


def test_heads_are_combined_layer_by_layer(server: Server, eager: list[np.ndarray]) -> None:
    texts = TEXTS[:2]
    for got, expected in zip(ask(server, texts, {"reduce": "raw", "heads": "mean"}), eager, strict=False):
        np.testing.assert_allclose(got["values"], expected.mean(1), atol=1e-5)
    for got, expected in zip(ask(server, texts, {"reduce": "raw", "heads": "max"}), eager, strict=False):
        peaks = expected.max(1)
        np.testing.assert_allclose(got["values"], peaks / peaks.sum(-1, keepdims=True), atol=1e-5)
    for got, expected in zip(
        ask(server, texts, {"reduce": "raw", "heads": "max", "query": "pool", "layers": [4]}), eager, strict=False
    ):
        peaks = expected[4].max(0)
        np.testing.assert_allclose(got["values"], [(peaks / peaks.sum(-1, keepdims=True)).mean(0)], atol=1e-5)


@pytest.mark.parametrize("encoding", ["json", "base64"])
def test_top_k_of_each_row(server: Server, eager: list[np.ndarray], encoding: str) -> None:
    (got,) = ask(server, TEXTS[:1], {"reduce": "raw", "layers": [1], "top_k": 3, "encoding": encoding})
    values, indices = got["values"], got["indices"]
    if encoding == "base64":
        values = np.frombuffer(base64.b64decode(values), "<f2").reshape(got["shape"])
        indices = np.frombuffer(base64.b64decode(indices), "<i4").reshape(got["shape"])
    expected = eager[0][[1]]
    assert got["shape"] == [*expected.shape[:-1], 3]
    assert len(got["tokens"]) == expected.shape[-1], "indices are of these"
    np.testing.assert_allclose(values, -np.sort(-expected, axis=-1)[..., :3], atol=1e-3)
    np.testing.assert_allclose(np.take_along_axis(expected, np.array(indices), -1), values, atol=1e-3)


def test_top_k_larger_than_row(server: Server) -> None:
    (got,) = ask(server, ["Short."], {"top_k": 2**62})
    assert sorted(got["indices"]) == list(range(len(got["tokens"])))
    assert got["values"] == sorted(got["values"], reverse=True)


LONG_WORDS = "Zweckverbandsvorsitzende naïveté,  antidisestablishmentarianism!"


def test_units_words(server: Server) -> None:
    by_token, by_word = (
        ask(server, [LONG_WORDS], {"query": "all", "units": units})[0] for units in ("tokens", "words")
    )
    words = [(word["text"], word["start"], word["end"]) for word in by_word["tokens"]]
    assert [text for text, _, _ in words] == [
        "[CLS]", "Zweckverbandsvorsitzende", "naïveté", ",", "antidisestablishmentarianism", "!", "[SEP]",
    ]  # fmt: skip
    assert all(LONG_WORDS[start:end] == text for text, start, end in words[1:-1])
    tokens, matrix = by_token["tokens"], np.array(by_token["values"])
    spans = [
        [i for i, t in enumerate(tokens) if start <= t["start"] < t["end"] <= end] for _, start, end in words[1:-1]
    ]
    groups = [[0], *spans, [len(tokens) - 1]]
    assert len(tokens) > len(words), "words of several tokens"
    expected = [[matrix[np.ix_(row, column)].sum(1).mean() for column in groups] for row in groups]
    np.testing.assert_allclose(by_word["values"], expected, atol=1e-6)
    for query, row in (("pool", matrix.mean(0)), (4, matrix[groups[4]].mean(0))):
        (got,) = ask(server, [LONG_WORDS], {"query": query, "units": "words"})
        np.testing.assert_allclose(got["values"], [row[group].sum() for group in groups], atol=1e-6)


@pytest.mark.parametrize(
    ("text", "attention", "param", "says"),
    [
        ("Short.", {"reduce": "raw", "heads": [0] * 1_000, "top_k": 1}, "attention.heads", "duplicates"),
        ("Short.", {"top_k": 0}, "attention.top_k", "at least 1"),
        ("Short.", {"top_k": 1.5}, "attention.top_k", "integer"),
        ("Short.", {"top_k": True}, "attention.top_k", "integer"),
        ("Short.", {"heads": "min"}, "attention.heads", ""),
        ("Short.", {"heads": "mean"}, "attention.heads", "raw"),
        ("Short.", {"units": "letters"}, "attention.units", "'tokens' or 'words'"),
        (LONG_WORDS, {"units": "words", "query": 7}, "attention.query", "7 words"),
        ([101, 102], {"units": "words"}, "attention.units", "send the text"),
    ],
)
def test_invalid_attention_options(server: Server, text: object, attention: object, param: str, says: str) -> None:
    answer = httpx.post(f"{server.url}/v1/embeddings", json={"model": MINILM, "input": [text], "attention": attention})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param), error
    assert says in error["message"]


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
