"""Tests of Ollama's client: POST /api/embed and the other endpoints that the client uses."""

import asyncio
from collections.abc import Iterator

import numpy as np
import ollama
import pytest

from tests.clients.reference import NO_SUCH_MODEL, RIGHT_TRUNCATED, TEXTS, TOO_LONG, assert_same, embed
from tests.conftest import MINILM
from tests.server import Server


@pytest.fixture
def client(server: Server) -> Iterator[ollama.Client]:
    with ollama.Client(server.url) as running:
        yield running


def test_texts(client: ollama.Client, expected: np.ndarray, expected_64: np.ndarray) -> None:
    answer = client.embed(MINILM, TEXTS, keep_alive="5m", options={"num_ctx": 256})
    assert_same(answer.embeddings, expected)
    assert answer.model == MINILM
    assert answer.prompt_eval_count
    assert_same(client.embed(MINILM, TEXTS[0]).embeddings, expected[:1])
    assert_same(client.embed(MINILM, TEXTS, dimensions=64).embeddings, expected_64)


def test_async_client_embeds_texts(server: Server, expected: np.ndarray) -> None:
    async def ask() -> ollama.EmbedResponse:
        async with ollama.AsyncClient(server.url) as client:
            answer: ollama.EmbedResponse = await client.embed(MINILM, TEXTS)
            return answer

    assert_same(asyncio.run(ask()).embeddings, expected)


def test_legacy_route_works(client: ollama.Client, expected: np.ndarray) -> None:
    vector = np.array(client.embeddings(MINILM, TEXTS[0]).embedding)
    assert_same(vector / np.linalg.norm(vector), expected[0])  # Ollama does not normalize this one


def test_long_text_is_truncated_by_default(client: ollama.Client, server: Server) -> None:
    assert_same(client.embed(MINILM, TOO_LONG).embeddings, embed(server, [RIGHT_TRUNCATED], truncate=False))
    with pytest.raises(ollama.ResponseError, match="256") as caught:
        client.embed(MINILM, TOO_LONG, truncate=False)
    assert caught.value.status_code == 400


def test_tag_is_no_other_model(client: ollama.Client, expected: np.ndarray) -> None:
    assert_same(client.embed(f"{MINILM}:latest", TEXTS).embeddings, expected)


def test_client_lists_models(client: ollama.Client) -> None:
    assert MINILM in [(model.model or "").removesuffix(":latest") for model in client.list().models]


def test_unknown_model_is_its_own_error(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match=MINILM) as caught:
        client.embed(NO_SUCH_MODEL, TEXTS)
    assert caught.value.status_code == 404
