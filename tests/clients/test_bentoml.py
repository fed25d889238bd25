"""Tests with BentoML's own clients, which generate their methods from /schema.json."""

import asyncio

import bentoml
import numpy as np
import pytest
from bentoml.exceptions import InvalidArgument, NotFound

from tests.clients.reference import NO_SUCH_MODEL, TEXTS, assert_same
from tests.conftest import MINILM
from tests.server import Server


def test_client_embeds_texts(server: Server, expected: np.ndarray, expected_64: np.ndarray) -> None:
    with bentoml.SyncHTTPClient(server.url) as client:
        assert_same(client.encode(texts=TEXTS), expected)
        assert_same(client.encode(TEXTS, MINILM, 64), expected_64)
        assert_same(client.encode(texts=TEXTS, model=None, dimensions=None), expected)


def test_async_client_embeds_texts(server: Server, expected: np.ndarray) -> None:
    async def ask() -> np.ndarray:
        async with bentoml.AsyncHTTPClient(server.url) as client:
            return np.concatenate(await asyncio.gather(*(client.encode([text], model=MINILM) for text in TEXTS)))

    assert_same(asyncio.run(ask()), expected)


def test_errors_are_its_own(server: Server) -> None:
    with bentoml.SyncHTTPClient(server.url) as client:
        with pytest.raises(NotFound, match=MINILM):
            client.encode(texts=TEXTS, model=NO_SUCH_MODEL)
        with pytest.raises(InvalidArgument, match="dimensions"):
            client.encode(texts=TEXTS, dimensions=385)
        with pytest.raises(InvalidArgument, match="texts"):
            client.encode(texts=[1])
