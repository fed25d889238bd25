"""Tests of models with a head over HTTP: each dialect's shape, the scores, the reasons, and the errors."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings

QUERY, DOCUMENTS = "the old lamp", ["a keeper reads", "the lamp and the sea", "light", "the old lamp ."]


@pytest.fixture(scope="module")
def client(heads: list[Path], tiny: Path, tiny_image: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(models=(*heads, tiny, tiny_image)))) as client:
        yield client


def post(client: TestClient, path: str, **body: object) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def logits(client: TestClient) -> list[float]:
    """The scores of DOCUMENTS as computed."""
    answer = post(client, "/score", queries=QUERY, documents=DOCUMENTS, model="reranker", use_activation=False)
    return [entry["score"] for entry in answer["data"]]


def sigmoid(values: list[float]) -> np.ndarray:
    scores: np.ndarray = 1 / (1 + np.exp(-np.array(values)))
    return scores


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank"])
def test_documents_are_ranked_as_jina_and_vllm_answer(client: TestClient, path: str, logits: list[float]) -> None:
    answer = post(client, path, model="reranker", query=QUERY, documents=DOCUMENTS, top_n=3)
    results = answer["results"]
    assert [entry["index"] for entry in results] == np.argsort(-np.array(logits)).tolist()[:3]
    np.testing.assert_allclose(
        [entry["relevance_score"] for entry in results], sigmoid([logits[e["index"]] for e in results]), atol=1e-6
    )
    assert [entry["document"] for entry in results] == [{"text": DOCUMENTS[entry["index"]]} for entry in results]
    assert (answer["object"], answer["model"], answer["scoring"]) == ("rerank", "reranker", "cross-encoder")
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] > 0


def test_documents_may_be_objects_and_are_left_out_on_request(client: TestClient) -> None:
    body = {"query": {"text": QUERY}, "documents": [{"text": text} for text in DOCUMENTS], "return_documents": False}
    results = post(client, "/v1/rerank", model="reranker", **body)["results"]
    assert len(results) == len(DOCUMENTS)
    assert not any("document" in entry for entry in results)


def test_infinity_gets_strings_and_logits(client: TestClient, logits: list[float]) -> None:
    body = {"query": QUERY, "documents": DOCUMENTS, "raw_scores": True, "return_documents": True}
    for entry in post(client, "/rerank", model="reranker", **body)["results"]:
        assert entry["document"] == DOCUMENTS[entry["index"]]
        assert entry["relevance_score"] == pytest.approx(logits[entry["index"]], abs=1e-6)


def test_text_embeddings_inference_gets_a_bare_list(client: TestClient, logits: list[float]) -> None:
    answer = client.post("/rerank", json={"query": QUERY, "texts": DOCUMENTS, "return_text": True})
    ranks = answer.json()
    assert [rank["score"] for rank in ranks] == sorted((rank["score"] for rank in ranks), reverse=True)
    assert all(rank["text"] == DOCUMENTS[rank["index"]] for rank in ranks)
    assert answer.headers["x-scoring"] == "cross-encoder"
    assert float(answer.headers["x-inference-time"]) > 0
    raw = post(client, "/rerank", query=QUERY, texts=DOCUMENTS, raw_scores=True)
    assert all(rank["score"] == pytest.approx(logits[rank["index"]], abs=1e-6) for rank in raw)
    assert not any("text" in rank for rank in raw)


def test_weaviate_gets_scores_by_document(client: TestClient, logits: list[float]) -> None:
    answer = post(client, "/rerank", query=QUERY, documents=DOCUMENTS, property="title")
    assert (answer["query"], answer["property"]) == (QUERY, "title")
    assert [entry["document"] for entry in answer["scores"]] == DOCUMENTS
    np.testing.assert_allclose([entry["score"] for entry in answer["scores"]], sigmoid(logits), atol=1e-6)


def test_cohere_gets_scores_from_0_to_1_without_documents(client: TestClient, logits: list[float]) -> None:
    answer = post(client, "/v2/rerank", model="reranker", query=QUERY, documents=DOCUMENTS, top_n=2)
    assert answer.keys() == {"id", "results", "meta"}
    assert [entry.keys() for entry in answer["results"]] == [{"index", "relevance_score"}] * 2
    assert answer["results"][0]["relevance_score"] == pytest.approx(max(sigmoid(logits)), abs=1e-6)
    assert "warnings" not in answer["meta"]


def test_document_is_cut_at_cohere_s_limit(client: TestClient) -> None:
    body = {"model": "reranker", "query": QUERY}
    cut = post(client, "/v2/rerank", **body, documents=["the lamp and the sea"], max_tokens_per_doc=2)
    short = post(client, "/v2/rerank", **body, documents=["the lamp"])
    assert cut["results"] == short["results"]


@pytest.mark.parametrize("names", [("queries", "documents"), ("text_1", "text_2"), ("data_1", "data_2")])
def test_scores_come_in_order_for_one_query_or_for_each(client: TestClient, names: tuple[str, str]) -> None:
    first, second = names
    one = post(client, "/v1/score", model="reranker", **{first: QUERY, second: DOCUMENTS})
    each = post(client, "/score", model="reranker", **{first: [QUERY] * len(DOCUMENTS), second: DOCUMENTS})
    assert [entry["score"] for entry in one["data"]] == [entry["score"] for entry in each["data"]]
    assert [entry["index"] for entry in one["data"]] == [0, 1, 2, 3]


def test_embedding_model_answers_by_cosine_and_says_so(client: TestClient) -> None:
    answer = post(client, "/v1/rerank", model="tiny", query=QUERY, documents=DOCUMENTS)
    inputs = post(client, "/v1/embeddings", model="tiny", input=[QUERY, *DOCUMENTS], normalize=True)["data"]
    query, *documents = np.array([entry["embedding"] for entry in inputs])
    cosines = np.array(documents) @ query
    assert answer["scoring"] == "cosine"
    for entry in answer["results"]:
        assert entry["relevance_score"] == pytest.approx(cosines[entry["index"]], abs=1e-5)
    assert answer["results"][0]["index"] == int(np.argmax(cosines))
    cohere = post(client, "/v2/rerank", model="tiny", query=QUERY, documents=DOCUMENTS)
    assert "cosines" in cohere["meta"]["warnings"][0]
    assert all(0 <= entry["relevance_score"] <= 1.000001 for entry in cohere["results"])


def test_pair_is_the_same_alone_and_among_others(client: TestClient, logits: list[float]) -> None:
    for i, document in enumerate(DOCUMENTS):
        alone = post(client, "/score", model="reranker", queries=QUERY, documents=document, use_activation=False)
        assert alone["data"][0]["score"] == pytest.approx(logits[i], abs=1e-6)


def test_attention_says_which_query_tokens_look_at_which_document_tokens(client: TestClient) -> None:
    pairs = [(1, 3), (0, 0)]
    options = {"reduce": "raw", "query": {"input": 0}, "keys": {"input": 1}, "layer_heads": pairs}
    body = {"model": "reranker", "query": QUERY, "documents": DOCUMENTS, "return_documents": False}
    selected = post(client, "/v1/rerank", **body, attention=options)["results"]
    full = post(client, "/v1/rerank", **body, attention={"reduce": "raw"})["results"]
    for some, whole in zip(selected, full, strict=True):
        tokens = some["attention"]["tokens"]
        rows, columns = some["attention"]["query_positions"], some["attention"]["key_positions"]
        assert [tokens[i]["input"] for i in rows] == [0] * 3
        document = DOCUMENTS[some["index"]]
        assert [document[tokens[i]["start"] : tokens[i]["end"]] for i in columns] == document.replace(".", " .").split()
        values = np.array(whole["attention"]["values"])
        expected = [values[layer, head][np.ix_(rows, columns)] for layer, head in pairs]
        np.testing.assert_allclose(some["attention"]["values"], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "rows", "columns"),
    [
        ({"query": [1, 2], "keys": [0]}, [1, 2], [0]),
        ({"query": {"input": 0, "start": 4, "end": 7}, "keys": {"input": 1, "start": 5}}, [2], [6]),
        ({"keys": {"input": 1}, "units": "words"}, None, [5, 6]),
        ({"query": 2, "keys": {"input": 1}}, None, [5, 6]),
    ],
)
def test_positions_may_be_lists_or_spans(
    client: TestClient, options: dict[str, object], rows: list[int] | None, columns: list[int]
) -> None:
    body = {"model": "reranker", "query": QUERY, "documents": ["the lamp"], "attention": options}
    attention = post(client, "/v1/rerank", **body)["results"][0]["attention"]
    assert attention.get("query_positions") == rows
    assert attention["key_positions"] == columns
    assert np.shape(attention["values"]) == ((len(rows), len(columns)) if rows else (len(columns),))


def test_match_explains_a_cross_encoder(client: TestClient, logits: list[float]) -> None:
    body = {"model": "reranker", "inputs": [QUERY, DOCUMENTS[1]], "pairs": True}
    answer = post(client, "/v1/attention/match", **body)
    assert answer["similarity"] == pytest.approx(sigmoid(logits)[1], abs=1e-6)
    assert [len(side["tokens"]) for side in answer["inputs"]] == [3, 5]
    assert np.shape(answer["pairs"]) == (3, 5)
    brief = post(client, "/v1/attention/match", **{**body, "pairs": False})
    for side, other in zip(answer["inputs"], brief["inputs"], strict=True):
        np.testing.assert_allclose(side["relevance"], other["relevance"], atol=1e-5)
        assert (side["similarities"], side["contributions"]) == (None, None)


def test_image_of_a_pair_is_drawn(client: TestClient) -> None:
    body = {"model": "reranker", "input": {"text": QUERY, "text_pair": DOCUMENTS[1]}}
    for attention in ({}, {"query": {"input": 0}, "keys": {"input": 1}}, {"keys": {"input": 1}}):
        answer = client.post("/v1/attention/image", json={**body, "attention": attention})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), answer.text


LONG = "the lamp " * 30


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/rerank", {"query": "", "documents": ["a"]}, 400, "invalid_input"),
        ("/v1/rerank", {"query": " \n", "documents": ["a"]}, 400, "invalid_input"),
        ("/v1/rerank", {"documents": ["a"]}, 400, "invalid_input"),
        ("/v1/rerank", {"query": "a", "documents": []}, 400, "invalid_input"),
        ("/v1/rerank", {"query": "a", "documents": ["a"] * 2_049}, 400, "too_many_inputs"),
        ("/v1/rerank", {"query": "a", "documents": ["a", 3]}, 400, "invalid_input"),
        ("/v1/rerank", {"query": "a", "documents": ["a"], "top_n": -1}, 400, "invalid_parameter"),
        ("/v1/rerank", {"query": "a", "documents": [LONG], "truncate": False}, 400, "context_length_exceeded"),
        ("/v1/rerank", {"query": "a", "documents": ["a"], "model": "classifier"}, 400, "task_not_supported"),
        ("/v1/rerank", {"query": "a", "documents": ["a"], "model": "tiny-image"}, 400, "task_not_supported"),
        ("/v1/rerank", {"query": "a", "documents": ["a"], "model": "other"}, 404, "model_not_found"),
        ("/v1/rerank", {"query": "a", "documents": ["a"], "model": "tiny", "attention": True}, 400,
         "invalid_parameter"),
        ("/v1/rerank", {"query": "a", "documents": ["a"], "attention": {"query": [99]}}, 400, "invalid_parameter"),
        ("/v1/rerank", {"query": "a", "documents": ["a"], "attention": {"keys": {"input": 1, "start": 9}}}, 400,
         "invalid_parameter"),
        ("/v1/rerank", {"query": "a", "documents": ["a"], "attention": {"keys": {"input": 2}}}, 400,
         "invalid_parameter"),
        ("/v1/rerank", {"query": "a", "documents": ["a"], "attention": {"layer_heads": [[0, 0]]}}, 400,
         "invalid_parameter"),
        ("/v1/rerank", {"query": "a", "documents": ["a"], "attention": {"reduce": "raw", "layer_heads": [[7, 0]]}},
         400, "invalid_parameter"),
        ("/score", {"queries": ["a", "b"], "documents": ["a", "b", "c"]}, 400, "invalid_input"),
        ("/score", {"queries": ["a"], "text_1": "b", "documents": ["a"]}, 400, "invalid_input"),
        ("/score", {"queries": ["a"]}, 400, "invalid_input"),
        ("/score", {"queries": ["a", ""], "documents": ["a", "b"]}, 400, "invalid_input"),
        ("/v1/embeddings", {"model": "reranker", "input": "a"}, 400, "task_not_supported"),
        ("/v1/attention/match", {"model": "reranker", "inputs": ["a", {"image": "aaaa"}]}, 400, "invalid_input"),
        ("/v1/attention/image", {"model": "tiny", "input": {"text": "a", "text_pair": "b"}}, 400, "invalid_input"),
    ],
)  # fmt: skip
def test_mistakes_get_the_typed_error(
    client: TestClient, path: str, body: dict[str, object], status: int, code: str
) -> None:
    answer = client.post(path, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text


def test_error_is_in_the_shape_of_the_body_s_dialect(client: TestClient) -> None:
    tei = client.post("/rerank", json={"query": "", "texts": ["a"]})
    assert (tei.status_code, tei.json()["error_type"]) == (400, "Empty")
    unable = client.post("/rerank", json={"query": "a", "texts": ["a"], "model": "classifier"})
    assert (unable.status_code, unable.json()["error_type"]) == (424, "Backend")
    weaviate = client.post("/rerank", json={"query": "", "documents": ["a"], "property": ""})
    assert isinstance(weaviate.json()["error"], str)
    cohere = client.post("/v2/rerank", json={"model": "reranker", "query": "", "documents": ["a"]})
    assert cohere.json().keys() == {"message"}


def test_models_say_what_they_answer_with(client: TestClient) -> None:
    models = {model["id"]: model for model in client.get("/v1/models").json()["data"]}
    assert models["reranker"]["tasks"] == ["rerank"]
    assert models["classifier"]["labels"] == ["contradiction", "entailment", "neutral"]
    assert (models["reranker"]["dimensions"], models["tiny"]["labels"]) == (None, None)
    assert models["tiny"]["tasks"] == ["embed"]


LABELS = ["contradiction", "entailment", "neutral"]


@pytest.mark.parametrize("path", ["/classify", "/v1/classify"])
def test_classes_of_texts_and_pairs_as_vllm_answers(client: TestClient, path: str) -> None:
    body = {"model": "classifier", "input": ["the lamp", {"text": "the lamp", "text_pair": "the sea"}]}
    first, second = post(client, path, **body)["data"]
    for entry in (first, second):
        assert entry["num_classes"] == 3
        assert sum(entry["probs"]) == pytest.approx(1, abs=1e-6)
        assert entry["label"] == LABELS[int(np.argmax(entry["probs"]))] == entry["labels"][0]["label"]
    assert first["probs"] != second["probs"]


def test_token_ids_are_classified_with_texts(client: TestClient) -> None:
    ids = [[1, 4, 6, 2], [1, 4, 6, 2]]
    data = post(client, "/v1/classify", model="classifier", input=[*ids, "the lamp", {"text": "a", "text_pair": "b"}])[
        "data"
    ]
    np.testing.assert_allclose(data[0]["probs"], data[2]["probs"], atol=1e-6)


def test_infinity_gets_labels_by_input(client: TestClient) -> None:
    data = post(client, "/classify", model="classifier", input=["the lamp"], raw_scores=False)["data"]
    assert [entry["label"] for entry in data[0]] != LABELS or len(data[0]) == 3
    assert sum(entry["score"] for entry in data[0]) == pytest.approx(1, abs=1e-6)


def test_list_of_two_texts_is_a_pair_to_predict(client: TestClient) -> None:
    single = post(client, "/predict", inputs="the lamp")
    pair = post(client, "/predict", inputs=["the lamp", "the sea"])
    batch = post(client, "/predict", inputs=[["the lamp"], ["the lamp", "the sea"]])
    assert [single, pair] == batch
    raw = post(client, "/predict", inputs="the lamp", raw_scores=True)
    exponentials = np.exp([entry["score"] for entry in raw])
    np.testing.assert_allclose(exponentials / exponentials.sum(), [entry["score"] for entry in single], atol=1e-6)


def test_hugging_face_s_parameters_are_understood(client: TestClient) -> None:
    (answer,) = post(client, "/predict", inputs="the lamp", parameters={"function_to_apply": "sigmoid", "top_k": 2})
    raw = post(client, "/predict", inputs="the lamp", raw_scores=True)
    np.testing.assert_allclose(
        [entry["score"] for entry in answer], sigmoid([entry["score"] for entry in raw])[:2], atol=1e-6
    )


def test_tokens_are_labeled_at_their_characters(client: TestClient) -> None:
    text = "The Old  keeper reads ."
    (tokens,) = post(client, "/predict_tokens", inputs=[[text]])
    assert [text[token["start"] : token["end"]].lower() for token in tokens] == text.lower().split()
    assert all(sum(token["results"].values()) == pytest.approx(1, abs=1e-5) for token in tokens)
    pair = post(client, "/predict_tokens", inputs=[["the lamp", "the sea"]])[0]
    assert [token["input"] for token in pair] == [0, 0, 1, 1]


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_entities_have_the_text_that_they_name(client: TestClient, strategy: str) -> None:
    text = "the old keeper reads the light and a lamp ."
    body = {"inputs": text, "parameters": {"aggregation_strategy": strategy, "ignore_labels": []}}
    entities = post(client, "/predict_tokens", **body)
    assert entities
    field = "entity" if strategy == "none" else "entity_group"
    for entity in entities:
        assert entity["word"] == text[entity["start"] : entity["end"]]
        assert entity[field]
        assert 0 < entity["score"] <= 1


def test_weaviate_gets_entities(client: TestClient) -> None:
    for token in post(client, "/ner/", text="the old keeper reads the light and a lamp .")["tokens"]:
        assert token["certainty"] + token["distance"] == pytest.approx(1)
        assert token.keys() == {"entity", "certainty", "distance", "word", "startPosition", "endPosition"}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/predict", {"inputs": "a", "model": "reranker"}, 424),
        ("/predict", {"inputs": []}, 422),
        ("/predict", {"inputs": ["a", "b", "c"]}, 422),
        ("/predict", {"inputs": "the lamp " * 40, "truncate": False}, 422),
        ("/predict_tokens", {"inputs": "a", "model": "classifier"}, 424),
        ("/classify", {"model": "labeler", "input": "a"}, 400),
        ("/classify", {"model": "classifier", "input": {"image": "aaaa"}}, 400),
        ("/classify", {"model": "classifier", "input": []}, 400),
        ("/classify", {"model": "image-classifier", "input": "the lamp"}, 400),
        ("/ner", {"text": 3}, 400),
    ],
)
def test_mistaken_classifications_are_refused(
    client: TestClient, path: str, body: dict[str, object], status: int
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == status, answer.text
