"""Tests with langchain-openai's OpenAIEmbeddings, which by default sends token ids of OpenAI's vocabulary."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import openai
import pytest
import tiktoken
from langchain_openai import OpenAIEmbeddings

from tests.clients.reference import NO_SUCH_MODEL, TEXTS, assert_same
from tests.conftest import MINILM
from tests.server import Server

CL100K_IDS = [519, 85342, 34500, 479, 8997, 2191]
"""What tiktoken makes of antidisestablishmentarianism, as OpenAI's cookbook tells it. tiktoken fetches its vocabularies
from the network, and here there may be none."""

Made = Callable[..., OpenAIEmbeddings]


@pytest.fixture
def embeddings(server: Server) -> Iterator[Made]:
    """Makes OpenAIEmbeddings. It leaves its connections open unless they are given, so they are."""
    with openai.DefaultHttpxClient() as connections:
        given: dict[str, Any] = {"model": MINILM, "base_url": f"{server.url}/v1", "api_key": "unused"}
        yield partial(OpenAIEmbeddings, **given, http_client=connections)


def test_texts_are_sent_without_length_check(embeddings: Made, expected: np.ndarray) -> None:
    client = embeddings(check_embedding_ctx_length=False)
    assert_same(client.embed_documents(TEXTS), expected)
    assert_same(client.embed_query(TEXTS[0]), expected[0])


def test_encode_works_from_a_coroutine(embeddings: Made, expected: np.ndarray) -> None:
    async def ask() -> list[list[float]]:
        async with openai.DefaultAsyncHttpxClient() as connections:
            client = embeddings(check_embedding_ctx_length=False, http_async_client=connections)
            return await client.aembed_documents(TEXTS)

    assert_same(asyncio.run(ask()), expected)


def test_dimensions_and_chunks(embeddings: Made, expected_64: np.ndarray) -> None:
    client = embeddings(check_embedding_ctx_length=False, dimensions=64, chunk_size=3)
    assert_same(client.embed_documents(TEXTS), expected_64)


def test_error_is_the_openai_clients(embeddings: Made) -> None:
    client = embeddings(check_embedding_ctx_length=False, model=NO_SUCH_MODEL)
    with pytest.raises(openai.NotFoundError, match=MINILM):
        client.embed_documents(TEXTS)


def test_default_client_sends_ids_of_another_vocabulary_and_is_refused(
    embeddings: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    # tiktoken's own class with a vocabulary of bytes alone, under the name that it takes for models it does not know.
    # The ids are where most of cl100k_base's are: past all of this model's.
    ids = {bytes([value]): 60_000 + value for value in range(256)}
    encoding = tiktoken.Encoding("cl100k_base", pat_str=r"(?s:.)", mergeable_ranks=ids, special_tokens={})
    monkeypatch.setitem(tiktoken.registry.ENCODINGS, "cl100k_base", encoding)
    with pytest.raises(openai.BadRequestError, match="vocabulary") as caught:
        embeddings().embed_documents(TEXTS)
    assert caught.value.code == "invalid_tokens"


def test_ids_as_tiktoken_makes_them_are_refused(embeddings: Made) -> None:
    # Byte for byte what the default sends: the openai client called as OpenAIEmbeddings calls it.
    client = embeddings().client
    with pytest.raises(openai.BadRequestError, match="vocabulary") as caught:
        client.create(input=[CL100K_IDS], model=MINILM)
    assert caught.value.code == "invalid_tokens"


def test_models_own_ids_are_its_text(embeddings: Made, expected: np.ndarray) -> None:
    # Of TEXTS[0], as the model's own tokenizer makes them: [CLS] the lamp warns ships . [SEP]
    ids = [101, 1996, 10437, 19428, 3719, 1012, 102]
    answer = embeddings().client.create(input=[ids], model=MINILM)
    assert_same(answer.data[0].embedding, expected[0])
