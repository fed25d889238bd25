"""Tests of requests that can only be mistakes: refused with a hint; harmless variants are served."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.conftest import MINILM
from tests.server import Server
from tests.service.api.test_prompts import with_prompts
from tests.service.conftest import URL

SCENE = (Path(__file__).parents[3] / "docs/scene.png").read_bytes()
ENCODED = base64.b64encode(SCENE).decode()


@pytest.fixture
def prompted(tiny: Path, tmp_path: Path) -> Iterator[TestClient]:
    """A model with the prompts query and passage."""
    directory = with_prompts(tiny, tmp_path / "prompted", query="the old lamp ", passage="ships ")
    with TestClient(create_app(Settings(models=(directory,)))) as client:
        yield client


def embed(both: Server, **fields: Any) -> httpx.Response:
    return httpx.post(f"{both.url}{URL}", json={"model": MINILM, "input": "A lamp.", **fields}, timeout=60)


@pytest.mark.parametrize("ids", [[9906, 1917], [15339, 1917], [83, 1609, 5963], [101, 9906], [9906, 102], [101]])
def test_ids_without_special_tokens_are_refused(both: Server, ids: list[int]) -> None:
    answer = embed(both, input=[ids])
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_tokens")
    assert "[CLS] at the start and [SEP] at the end" in answer.json()["error"]["message"]
    assert "check_embedding_ctx_length=False" in answer.json()["error"]["message"]


def test_ids_with_special_tokens_embed_as_their_text(both: Server) -> None:
    ids = [token["id"] for token in httpx.post(f"{both.url}/tokenize", json={"inputs": "A lamp."}).json()[0]]
    by_ids, by_text = (embed(both, input=value).json()["data"][0]["embedding"] for value in ([ids], "A lamp."))
    assert by_ids == pytest.approx(by_text, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"data:image/png;base64,{ENCODED}", "invalid_input"),
        (ENCODED, "invalid_input"),
        ("/9j/4AAQSkZJRgABAQAAAQABAAD", "invalid_input"),
        ("https://example.com/cat.png", "url_not_allowed"),
    ],
)
@pytest.mark.parametrize("path", [URL, "/embed"])
def test_image_sent_as_text_to_an_image_model_is_refused(both: Server, path: str, text: str, code: str) -> None:
    answer = httpx.post(f"{both.url}{path}", json={"model": "scenes-vit", "input": [text], "inputs": [text]})
    assert answer.status_code in (400, 422)
    message = answer.json()["error"]
    assert path == "/embed" or message["code"] == code


def test_ordinary_text_for_an_image_model_goes_to_its_sibling(both: Server) -> None:
    texts = ["a red star", "see https://example.com/cat.png for a cat", "data: image"]
    vectors = [embed(both, model=name, input=texts).json()["data"] for name in ("scenes-vit", MINILM)]
    assert vectors[0] == vectors[1]


def test_cohere_texts_with_image_type_are_refused(both: Server) -> None:
    body = {"model": "scenes-vit", "input_type": "image", "texts": ["data:image/png;base64,AAAA"]}
    answer = httpx.post(f"{both.url}/v2/embed", json=body)
    assert (answer.status_code, "images" in answer.json()["message"]) == (400, True)


@pytest.mark.parametrize("name", ["normalize", "normalized"])
def test_normalize_is_applied(both: Server, name: str) -> None:
    plain, raw = (embed(both, **{name: value}).json()["data"][0]["embedding"] for value in (True, False))
    assert sum(value**2 for value in plain) == pytest.approx(1, abs=1e-5)
    assert sum(value**2 for value in raw) != pytest.approx(1, abs=1e-2)


def test_embedding_type_is_an_alias_of_encoding_format(both: Server) -> None:
    assert isinstance(embed(both, embedding_type="base64").json()["data"][0]["embedding"], str)
    assert embed(both, embedding_type="int8").json()["error"]["param"] == "embedding_type"
    assert embed(both, embedding_type="base64", encoding_format="float").status_code == 400


@pytest.mark.parametrize(("field", "value"), [("input_type", "query"), ("task", "retrieval.query"),
                                              ("prompt_name", "query"), ("input_type", "search_query")])  # fmt: skip
def test_purpose_selects_a_prompt(prompted: TestClient, field: str, value: str) -> None:
    def vector(**fields: str) -> Any:
        return prompted.post(URL, json={"model": "tiny", "input": "reads", **fields}).json()["data"][0]["embedding"]

    assert vector(**{field: value}) == vector(prompt_name="query") != vector()


@pytest.mark.parametrize("field", ["input_type", "task", "prompt_name"])
def test_unknown_purpose_is_refused(prompted: TestClient, field: str) -> None:
    answer = prompted.post(URL, json={"model": "tiny", "input": "reads", field: "telepathy"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_parameter")
    assert answer.json()["error"]["message"].endswith("available: query, passage")


def test_purpose_of_a_model_without_prompts_changes_nothing(both: Server) -> None:
    assert embed(both, input_type="passage", task="passage").json()["data"] == embed(both).json()["data"]


@pytest.mark.parametrize("name", ["truncate", "dimensions", "user", "encoding_format", "attention", "modality"])
def test_null_is_the_default(both: Server, name: str) -> None:
    assert embed(both, **{name: None}).json()["data"] == embed(both).json()["data"]


def test_null_is_the_default_in_tei(both: Server) -> None:
    body = {"inputs": "A lamp.", "normalize": None, "truncation_direction": None, "truncate": None}
    assert httpx.post(f"{both.url}/embed", json=body).status_code == 200


def test_truncate_takes_the_words_of_nim(both: Server) -> None:
    long = "lamp " * 300 + "ships " * 300
    assert embed(both, input=long, truncate="NONE").json()["error"]["code"] == "context_length_exceeded"
    start, end = (embed(both, input=long, truncate=word).json()["data"][0] for word in ("START", "END"))
    assert start["truncated"]
    assert end["embedding"] == embed(both, input=long).json()["data"][0]["embedding"] != start["embedding"]
    assert embed(both, truncate="MIDDLE").status_code == 400


@pytest.mark.parametrize("path", ["/v1/embeddings/", "/embeddings/", "/embed/"])
def test_trailing_slash_is_served(both: Server, path: str) -> None:
    body = {"model": MINILM, "input": "A lamp.", "inputs": "A lamp."}
    answers = [httpx.post(f"{both.url}{url}", json=body).json() for url in (path, path[:-1])]
    assert answers[0] == answers[1]


def test_byte_order_mark_is_skipped(both: Server) -> None:
    body = b'\xef\xbb\xbf{"inputs": "A lamp."}'
    assert httpx.post(f"{both.url}/embed", content=body).status_code == 200


def test_other_encoding_is_named(both: Server) -> None:
    answer = httpx.post(f"{both.url}{URL}", content='{"model": "m", "input": "café"}'.encode("latin-1"))
    assert answer.json()["error"]["message"] == "the body is not UTF-8 (at byte 28)"


def test_lone_surrogate_names_its_field(both: Server) -> None:
    body = rb'{"model": "all-MiniLM-L6-v2", "input": ["fine", "cut \ud83d", "fine"]}'
    error = httpx.post(f"{both.url}{URL}", content=body).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_json", "input[1]")


def test_unregistered_jpeg_type_is_taken(both: Server) -> None:
    answer = httpx.post(f"{both.url}{URL}?model=scenes-vit", content=SCENE, headers={"Content-Type": "image/jpg"})
    assert answer.status_code == 200


@pytest.mark.parametrize(("strategy", "status"), [("masked_mean", 200), ("cls", 400), (None, 200)])
def test_weaviate_pooling_must_be_the_models(both: Server, strategy: str | None, status: int) -> None:
    body = {"text": "A lamp.", "config": {"pooling_strategy": strategy}}
    assert httpx.post(f"{both.url}/vectors", json=body).status_code == status


def test_wrong_oip_version_is_named(both: Server) -> None:
    answer = httpx.get(f"{both.url}/v2/models/{MINILM}/versions/7")
    assert (answer.status_code, answer.json()["error"]) == (404, "version: unknown version; available: 1")


def test_metrics_have_the_requested_version(both: Server) -> None:
    kinds = [httpx.get(f"{both.url}/metrics", headers={"Accept": accept}).headers["content-type"]
             for accept in ("text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0")]  # fmt: skip
    assert kinds[0].startswith("text/plain; version=0.0.4")
    assert kinds[1].startswith("application/openmetrics-text; version=1.0.0")
