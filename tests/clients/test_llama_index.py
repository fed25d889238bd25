"""LlamaIndex's client of text-embeddings-inference: POST /embed.

It never looks at a status: an answer that is no list of vectors fails wherever it is used.
"""

import asyncio

import numpy as np
import pytest
from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference
from pydantic import ValidationError

from tests.clients.reference import RIGHT_TRUNCATED, TEXTS, TOO_LONG, assert_same, embed
from tests.conftest import MINILM
from tests.server import Server


def client(server: Server, *, truncate_text: bool = True) -> TextEmbeddingsInference:
    return TextEmbeddingsInference(MINILM, base_url=server.url, truncate_text=truncate_text, embed_batch_size=3)


def test_texts_and_queries(server: Server, expected: np.ndarray) -> None:
    assert_same(client(server).get_text_embedding_batch(TEXTS), expected)
    assert_same(client(server).get_text_embedding(TEXTS[1]), expected[1])
    assert_same(client(server).get_query_embedding(TEXTS[0]), expected[0])


def test_encode_works_from_a_coroutine(server: Server, expected: np.ndarray) -> None:
    assert_same(asyncio.run(client(server).aget_text_embedding_batch(TEXTS)), expected)


def test_long_text_is_truncated(server: Server) -> None:
    assert_same(client(server).get_text_embedding(TOO_LONG), embed(server, [RIGHT_TRUNCATED])[0])


def test_refusal_is_never_taken_for_vectors(server: Server) -> None:
    strict = client(server, truncate_text=False)
    with pytest.raises(ValidationError) as caught:
        strict.get_text_embedding_batch(["lamp", TOO_LONG])
    (problem,) = caught.value.errors()
    assert problem["input"]["error_type"] == "Validation"
    assert "256" in problem["input"]["error"]
    with pytest.raises(KeyError):
        strict.get_text_embedding(TOO_LONG)
