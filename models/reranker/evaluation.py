"""Evaluation on facts whose words training never drew: the cross-encoder against the cosine of two embeddings.

Letters: b queries, n documents per query, the first of which is relevant.
"""

import random
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import ElectraForSequenceClassification

from models.reranker.facts import NUM_DOCUMENTS, Example, held_out_topics, make_example
from models.reranker.training import Vocabulary, score
from models.train.teacher import Teacher

NUM_QUERIES = 500
SEED = 11
BATCH_SIZE = 50


def held_out_examples(count: int = NUM_QUERIES) -> list[Example]:
    """Return the examples of the evaluation, the same on every machine."""
    rng = random.Random(SEED)  # noqa: S311 - nothing secret
    topics = held_out_topics()
    examples = []
    for _ in range(count):
        topic, other = rng.sample(topics, 2)
        examples.append(make_example(topic, other, rng))
    return examples


@torch.no_grad()
def evaluate(
    model: ElectraForSequenceClassification, vocabulary: Vocabulary, teacher: Teacher, examples: Sequence[Example]
) -> dict[str, dict[str, float]]:
    """Return the figures of the cross-encoder, and of the teacher's cosine."""
    starts = range(0, len(examples), BATCH_SIZE)
    logits = torch.cat([score(model, vocabulary, examples[start : start + BATCH_SIZE]) for start in starts])
    queries = teacher.embed([example.query for example in examples])
    documents = teacher.embed([document for example in examples for document in example.documents])
    cosines = torch.einsum("be,bne->bn", queries, documents.reshape(len(examples), NUM_DOCUMENTS, -1))
    return {"cross-encoder": figures(logits), "cosine": figures(cosines)}


def figures(scores: Tensor) -> dict[str, float]:
    """Return how often the relevant document of scores `[b, n]` is first, and its mean reciprocal rank."""
    ranks = 1 + (scores[:, 1:] >= scores[:, :1]).sum(dim=1)
    return {"first": float((ranks == 1).float().mean()), "mean_reciprocal_rank": float((1 / ranks).mean())}
