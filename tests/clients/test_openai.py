"""Tests with the unmodified OpenAI client."""

import asyncio
from collections.abc import Iterator

import numpy as np
import openai
import pytest

from tests.clients.reference import NO_SUCH_MODEL, TEXTS, assert_same
from tests.conftest import MINILM
from tests.server import Server


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as running:
        yield running


def vectors(answer: openai.types.CreateEmbeddingResponse) -> list[list[float]]:
    assert [entry.index for entry in answer.data] == list(range(len(answer.data)))
    return [entry.embedding for entry in answer.data]


def test_embedding_formats_agree(client: openai.OpenAI, expected: np.ndarray) -> None:
    # Asked for nothing, the client asks for base64 and decodes it.
    assert_same(vectors(client.embeddings.create(model=MINILM, input=TEXTS)), expected)
    assert_same(vectors(client.embeddings.create(model=MINILM, input=TEXTS, encoding_format="float")), expected)


def test_dimensions(client: openai.OpenAI, expected_64: np.ndarray) -> None:
    assert_same(vectors(client.embeddings.create(model=MINILM, input=TEXTS, dimensions=64)), expected_64)


def test_async_client_embeds_texts(server: Server, expected: np.ndarray) -> None:
    async def ask() -> list[openai.types.CreateEmbeddingResponse]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client:
            return await asyncio.gather(*(client.embeddings.create(model=MINILM, input=text) for text in TEXTS))

    assert_same(np.concatenate([vectors(answer) for answer in asyncio.run(ask())]), expected)


def test_bad_request_is_its_own_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="dimensions") as caught:
        client.embeddings.create(model=MINILM, input=TEXTS, dimensions=385)
    error = caught.value
    assert (error.code, error.param, error.type) == ("invalid_parameter", "dimensions", "invalid_request_error")


def test_unknown_model_is_its_own_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=MINILM) as caught:
        client.embeddings.create(model=NO_SUCH_MODEL, input=TEXTS)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
