"""Tests with Cohere's client, version 2: POST /v2/embed."""

import base64
from collections.abc import Iterator

import cohere
import numpy as np
import pytest

from tests.clients.reference import LEFT_TRUNCATED, NO_SUCH_MODEL, RIGHT_TRUNCATED, TEXTS, TOO_LONG, assert_same, embed
from tests.conftest import MINILM
from tests.images import encode, gradient_image, to_data_url
from tests.server import Server


@pytest.fixture
def client(server: Server) -> Iterator[cohere.ClientV2]:
    with cohere.ClientV2("unused", base_url=server.url) as running:
        yield running


def test_floats_and_base64(client: cohere.ClientV2, expected: np.ndarray) -> None:
    answer = client.embed(
        model=MINILM, input_type="search_document", texts=TEXTS, embedding_types=["float", "base64"], truncate="END"
    )
    assert_same(answer.embeddings.float_ or [], expected)
    packed = answer.embeddings.base64 or []
    assert_same([np.frombuffer(base64.b64decode(vector), "<f4") for vector in packed], expected)
    assert answer.id


def test_floats_are_the_default_encoding(client: cohere.ClientV2, expected_64: np.ndarray) -> None:
    answer = client.embed(model=MINILM, input_type="search_query", texts=TEXTS, output_dimension=64)
    assert_same(answer.embeddings.float_ or [], expected_64)
    assert answer.embeddings.base64 is None


def test_inputs_of_one_text_each(client: cohere.ClientV2, expected: np.ndarray) -> None:
    inputs = [cohere.EmbedInput(content=[cohere.TextEmbedContent(text=text)]) for text in TEXTS]
    answer = client.embed(model=MINILM, input_type="search_document", inputs=inputs, embedding_types=["float"])
    assert_same(answer.embeddings.float_ or [], expected)


@pytest.mark.parametrize(("end", "kept"), [("END", RIGHT_TRUNCATED), ("START", LEFT_TRUNCATED)])
def test_truncation(client: cohere.ClientV2, server: Server, end: str, kept: str) -> None:
    answer = client.embed(model=MINILM, input_type="search_document", texts=[TOO_LONG], truncate=end)
    assert_same(answer.embeddings.float_ or [], embed(server, [kept], truncate=False))


def test_images(both: Server) -> None:
    url = to_data_url(encode(gradient_image()))
    with cohere.ClientV2("unused", base_url=both.url) as client:
        answer = client.embed(model="scenes-vit", input_type="image", images=[url], embedding_types=["float"])
    assert_same(answer.embeddings.float_ or [], embed(both, [{"image": url}], model="scenes-vit"))


def test_errors_are_its_own(client: cohere.ClientV2) -> None:
    with pytest.raises(cohere.NotFoundError) as missing:
        client.embed(model=NO_SUCH_MODEL, input_type="search_document", texts=TEXTS)
    assert MINILM in missing.value.body["message"]
    with pytest.raises(cohere.BadRequestError) as too_long:
        client.embed(model=MINILM, input_type="search_document", texts=[TOO_LONG], truncate="NONE")
    assert "256" in too_long.value.body["message"]
