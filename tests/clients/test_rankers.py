"""Clients that rank documents and label texts: each pinned, unchanged, and given the same answers."""

import json
import subprocess

import cohere
import httpx
import numpy as np
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.postprocessor.tei_rerank import TextEmbeddingInference as TeiRerank
from rerankers import Reranker

from bench.server import ROOT
from tests.server import Server

QUERY = "the old lamp"
DOCUMENTS = ["a keeper reads", "the lamp and the sea", "light", "the old lamp ."]


@pytest.fixture(scope="module")
def scores(every_task: Server) -> dict[str, float]:
    """The score of each document, by a plain request."""
    body = {"model": "reranker", "query": QUERY, "documents": DOCUMENTS}
    results = httpx.post(f"{every_task.url}/v1/rerank", json=body).json()["results"]
    return {DOCUMENTS[entry["index"]]: entry["relevance_score"] for entry in results}


def assert_ranked(found: list[tuple[str, float]], scores: dict[str, float]) -> None:
    assert [text for text, _ in found] == sorted(scores, key=lambda text: -scores[text])[: len(found)]
    np.testing.assert_allclose([score for _, score in found], [scores[text] for text, _ in found], atol=1e-6)


def test_cohere(every_task: Server, scores: dict[str, float]) -> None:
    with cohere.ClientV2(api_key="any", base_url=every_task.url) as client:
        answer = client.rerank(model="reranker", query=QUERY, documents=DOCUMENTS, top_n=3)
    assert_ranked([(DOCUMENTS[each.index], each.relevance_score) for each in answer.results], scores)
    assert answer.meta is not None
    with (
        cohere.ClientV2(api_key="any", base_url=every_task.url) as client,
        pytest.raises(cohere.errors.BadRequestError) as caught,
    ):
        client.rerank(model="classifier", query=QUERY, documents=DOCUMENTS)
    assert "classifier cannot score texts" in str(caught.value.body)


@pytest.mark.parametrize(
    ("provider", "path"), [("cohere", "/v1/rerank"), ("jina", "/v1/rerank"), ("text-embeddings-inference", "/rerank")]
)
def test_rerankers(every_task: Server, scores: dict[str, float], provider: str, path: str) -> None:
    ranker = Reranker(
        "reranker", model_type="APIRanker", api_provider=provider, api_key="any", url=every_task.url + path, verbose=0
    )
    found = ranker.rank(query=QUERY, docs=DOCUMENTS)
    assert_ranked([(each.document.text, each.score) for each in found.results], scores)


def test_llama_index(every_task: Server, scores: dict[str, float]) -> None:
    ranker = TeiRerank(base_url=every_task.url, top_n=3, model_name="reranker")
    nodes = [NodeWithScore(node=TextNode(text=text), score=0.5) for text in DOCUMENTS]
    found = ranker.postprocess_nodes(nodes, QueryBundle(QUERY))
    assert_ranked([(each.text, each.score or 0.0) for each in found], scores)


def test_langchain_infinity(every_task: Server, scores: dict[str, float]) -> None:
    python = ROOT / ".venv" / "infinity" / "bin" / "python"
    assert python.is_file(), "run `make test`, which installs this client's environment first"
    command = [str(python), "tests/clients/infinity_rerank.py", every_task.url, "reranker", QUERY, *DOCUMENTS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert_ranked([(text, score) for text, score in json.loads(done.stdout)], scores)


def test_hugging_face_text_classification(every_task: Server) -> None:
    client = InferenceClient(model=f"{every_task.url}/predict")
    labels = client.text_classification("the old lamp", top_k=2)
    body = {"model": "classifier", "input": "the old lamp", "top_k": 2}
    (expected,) = httpx.post(f"{every_task.url}/v1/classify", json=body).json()["data"]
    assert [label.label for label in labels] == [label["label"] for label in expected["labels"]]
    np.testing.assert_allclose(
        [label.score for label in labels], [label["score"] for label in expected["labels"]], atol=1e-6
    )
    with pytest.raises(HfHubHTTPError):
        client.text_classification("the old lamp", top_k=-1)


def test_hugging_face_token_classification(every_task: Server) -> None:
    client = InferenceClient(model=f"{every_task.url}/predict_tokens")
    text = "the old keeper reads the light and a lamp ."
    found = client.token_classification(text, aggregation_strategy="simple", ignore_labels=[])
    assert found
    for entity in found:
        assert entity.word == text[entity.start : entity.end]
        assert entity.entity_group


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        ("/rerank", {"query": QUERY, "documents": DOCUMENTS, "property": ""}, {"query", "scores", "property"}),
        ("/ner/", {"text": "the old keeper"}, {"tokens"}),
    ],
)
def test_weaviate_s_requests(every_task: Server, path: str, body: dict[str, object], fields: set[str]) -> None:
    """As its modules send them: JSON without a Content-Type; they read a 200 and nothing else."""
    answer = httpx.post(every_task.url + path, content=json.dumps(body))
    assert (answer.status_code, answer.json().keys()) == (200, fields)
