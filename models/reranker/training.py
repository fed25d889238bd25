"""Training of the cross-encoder: an ELECTRA of a few layers, whose word embeddings come from the default text model.

The table of the larger model is projected to its principal components and frozen, so that words that training never
draws stand where their neighbors do. Letters: b queries, n documents per query, t tokens.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm
from transformers import ElectraConfig, ElectraForSequenceClassification

from models.filenames import WEIGHTS_FILE
from models.reranker.facts import NUM_DOCUMENTS, NUM_HARD, Example, TrainingPhrases

TOKENIZER_FILE = "tokenizer.json"
PADDING_ID = 0
REGRESSION_WEIGHT = 0.3
"""Weight of the loss that makes a score a probability, next to the one that ranks."""


@dataclass(frozen=True)
class Recipe:
    """Every number of a run."""

    seed: int = 7
    steps: int = 1_800
    queries: int = 16
    learning_rate: float = 5e-4
    warmup_steps: int = 200
    clip_norm: float = 1.0
    curriculum: float = 0.2
    """Part of the steps until all documents may be hard."""
    embedding: int = 64
    width: int = 128
    intermediate: int = 384
    layers: int = 4
    heads: int = 4
    max_tokens: int = 128


class Vocabulary:
    """Pairs of texts as the tensors that the model takes, by the default text model's tokenizer."""

    def __init__(self, directory: Path, max_tokens: int) -> None:
        self.tokenizer = Tokenizer.from_file(str(directory / TOKENIZER_FILE))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_tokens)
        ranks = self.tokenizer.get_vocab()
        self.words = sorted(ranks, key=ranks.__getitem__)

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
        """Return ids, types and mask of a padded batch, `[b, t]` each."""
        encodings = self.tokenizer.encode_batch(pairs)
        longest = max(len(encoding.ids) for encoding in encodings)
        rows = {
            "input_ids": [each.ids + [PADDING_ID] * (longest - len(each.ids)) for each in encodings],
            "token_type_ids": [each.type_ids + [0] * (longest - len(each.ids)) for each in encodings],
            "attention_mask": [[1] * len(each.ids) + [0] * (longest - len(each.ids)) for each in encodings],
        }
        return {name: torch.tensor(values) for name, values in rows.items()}


def build(recipe: Recipe, teacher: Path) -> ElectraForSequenceClassification:
    """Return the untrained model, with the projected word embeddings of `teacher`."""
    torch.manual_seed(recipe.seed)
    table = load_file(teacher / WEIGHTS_FILE)["embeddings.word_embeddings.weight"].float()
    model = ElectraForSequenceClassification(
        ElectraConfig(
            vocab_size=len(table),
            embedding_size=recipe.embedding,
            hidden_size=recipe.width,
            intermediate_size=recipe.intermediate,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            max_position_embeddings=recipe.max_tokens,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            classifier_dropout=0.0,
            id2label={0: "relevance"},
        )
    )
    words = model.electra.embeddings.word_embeddings
    words.weight.data.copy_(_principal_components(table, recipe.embedding))
    words.weight.requires_grad_(False)
    for layer in model.electra.encoder.layer:
        _attend_to_the_same(layer.attention.self)
    return model


def _attend_to_the_same(attention: nn.Module) -> None:
    """Let a layer's queries equal its keys, so that at first a token attends to those like it, in the other text too.

    Left to chance, such attention is not found in thousands of steps.
    """
    query, key = (attention.get_parameter(f"{name}.weight") for name in ("query", "key"))
    nn.init.orthogonal_(query)
    key.data.copy_(query)


def _principal_components(table: Tensor, width: int) -> Tensor:
    """Project rows `[v, e]` to their first components `[v, width]`, of a deviation of 1 over all."""
    centered = table - table.mean(dim=0)
    _, _, directions = torch.linalg.svd(centered[::4], full_matrices=False)
    projected: Tensor = centered @ directions[:width].T
    return projected / projected.std()


def train(recipe: Recipe, teacher: Path) -> tuple[ElectraForSequenceClassification, Vocabulary]:
    """Train by the recipe; shows progress."""
    model, vocabulary = build(recipe, teacher), Vocabulary(teacher, recipe.max_tokens)
    phrases = TrainingPhrases(vocabulary.words)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=recipe.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        recipe.learning_rate,
        total_steps=recipe.steps,
        pct_start=min(0.5, recipe.warmup_steps / recipe.steps),
    )
    with tqdm(total=recipe.steps, unit="step") as progress:
        for examples in _batches(recipe, phrases):
            loss, accuracy = _losses(model, vocabulary, examples)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(trained, recipe.clip_norm)
            optimizer.step()
            schedule.step()
            progress.update()
            progress.set_postfix(loss=f"{loss.item():.3f}", first=f"{accuracy:.2f}", refresh=False)
    return model.eval(), vocabulary


def _batches(recipe: Recipe, phrases: TrainingPhrases) -> Iterator[list[Example]]:
    """Yield the batches of a run: easy ones first, with more hard documents as it goes on, for only what tells any
    document from another can be refined to tell hard ones."""
    rng = random.Random(recipe.seed)  # noqa: S311 - nothing secret
    for step in range(recipe.steps):
        hardest = min(NUM_HARD, int((NUM_HARD + 1) * step / (recipe.curriculum * recipe.steps)))
        yield [phrases.example(rng, rng.randint(hardest // 2, hardest)) for _ in range(recipe.queries)]


def score(model: ElectraForSequenceClassification, vocabulary: Vocabulary, examples: Sequence[Example]) -> Tensor:
    """Return the logits of each query's documents, `[b, n]`."""
    pairs = [(example.query, document) for example in examples for document in example.documents]
    logits: Tensor = model(**vocabulary(pairs)).logits
    return logits.reshape(len(examples), NUM_DOCUMENTS)


def _losses(
    model: ElectraForSequenceClassification, vocabulary: Vocabulary, examples: Sequence[Example]
) -> tuple[Tensor, float]:
    logits = score(model, vocabulary, examples)
    relevant = torch.zeros_like(logits)
    relevant[:, 0] = 1.0
    ranking = functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
    probability = functional.binary_cross_entropy_with_logits(logits, relevant)
    accuracy = float((logits.argmax(dim=1) == 0).float().mean())
    return ranking + REGRESSION_WEIGHT * probability, accuracy
