"""Tests of the small cross-encoder: its generated facts, its training, and its packaged weights."""

import json
import random
import re

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from bench.server import ROOT
from models.reranker.evaluation import evaluate, figures, held_out_examples
from models.reranker.facts import NUM_DOCUMENTS, NUM_HARD, Example, TrainingPhrases, held_out_topics, make_example
from models.reranker.training import Recipe, Vocabulary, score, train
from models.synthetic_corpus import topics
from models.train.teacher import Teacher
from tests.conftest import DEFAULT_SOURCE

WEIGHTS = ROOT / "models" / "weights" / "facts-reranker"


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(DEFAULT_SOURCE, Recipe.max_tokens)


def examples(count: int) -> list[Example]:
    rng = random.Random(4)
    found = held_out_topics()
    return [make_example(found[i % 3], found[3 + i % 3], rng) for i in range(count)]


def test_first_document_alone_states_the_query() -> None:
    for example in examples(50):
        fact = example.query.removeprefix("was it true that ").removesuffix("?")
        assert len(example.documents) == NUM_DOCUMENTS
        stated = [fact.lower() in document.lower() for document in example.documents]
        assert not any(stated[1:])
        for hard in example.documents[1 : 1 + NUM_HARD]:
            assert 0 < len(words(fact) - words(hard)) < len(words(fact))


def test_training_draws_no_word_of_the_evaluation(vocabulary: Vocabulary) -> None:
    held_out = {word for topic in topics("gate") for field in topic[:3] for phrase in field for word in words(phrase)}
    shared = {word for topic in topics("calibration") for field in topic for phrase in field for word in words(phrase)}
    forms = words("nobody knew whether she said that was it true the a our some every this for to about with past "
                  "at during before after in")  # fmt: skip
    phrases = TrainingPhrases(vocabulary.words)
    rng = random.Random(1)
    for _ in range(200):
        example = phrases.example(rng, NUM_HARD)
        assert not (words(" ".join([example.query, *example.documents])) - forms - shared) & held_out


def test_figures_count_ties_against_the_relevant_document() -> None:
    found = figures(torch.tensor([[2.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 2.0]]))
    assert found == {"first": pytest.approx(1 / 3), "mean_reciprocal_rank": pytest.approx((1 + 1 / 2 + 1 / 3) / 3)}


def test_training_follows_its_recipe() -> None:
    recipe = Recipe(steps=4, queries=2, layers=1)
    first, vocabulary = train(recipe, DEFAULT_SOURCE)
    second, _ = train(recipe, DEFAULT_SOURCE)
    with torch.no_grad():
        scores = [score(model, vocabulary, examples(2)) for model in (first, second)]
    torch.testing.assert_close(scores[0], scores[1])
    frozen = first.electra.embeddings.word_embeddings.weight
    assert not frozen.requires_grad


def test_packaged_weights_beat_cosine_on_held_out_facts(vocabulary: Vocabulary) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(WEIGHTS, dtype=torch.float32).eval()
    found = evaluate(model, vocabulary, Teacher(DEFAULT_SOURCE), held_out_examples(100))
    assert found["cross-encoder"]["first"] > found["cosine"]["first"] + 0.2
    recorded = json.loads((WEIGHTS / "evaluation.json").read_text())
    assert recorded["cross-encoder"]["first"] == pytest.approx(found["cross-encoder"]["first"], abs=0.1)
    assert recorded["cosine"]["first"] == pytest.approx(found["cosine"]["first"], abs=0.1)


def test_packaged_weights_are_small() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 12_000_000
