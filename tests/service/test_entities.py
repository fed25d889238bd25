"""Tests of labeled spans: the same as those of transformers' token classification pipeline, for each strategy."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from models.artifact.specs import TextSpec
from models.preprocess.text import TextPreprocessor
from service.pipeline.scores import Aggregation, activate, find_entities
from tests.conftest import DEFAULT_SOURCE
from tests.heads import LABELS

TEXTS = [
    "Sarah Connor lives in Llanfairpwllgwyngyll, near Bangor.",
    "The unbelievably incomprehensible lighthouse-keeper's lamp!",
    "Ångström visited Zürich; café naïve résumé.",
    "a",
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A token classifier with the default model's tokenizer, which splits words."""
    folder = tmp_path_factory.mktemp("labeler")
    torch.manual_seed(3)
    labels = LABELS["token-classify"]
    config = transformers.BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, initializer_range=0.6,
        id2label=dict(enumerate(labels)), label2id={label: i for i, label in enumerate(labels)},
    )  # fmt: skip
    transformers.BertForTokenClassification(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(DEFAULT_SOURCE / name, folder / name)
    return folder


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_entities_are_those_of_the_pipeline(source: Path, strategy: Aggregation) -> None:
    pipeline: Any = transformers.pipeline("token-classification", str(source), device="cpu")
    tokenize = TextPreprocessor(
        (source / "tokenizer.json").read_text(encoding="utf-8"),
        TextSpec(max_tokens=128, vocab_size=30_522, position_offset=0),
    )
    field = "entity" if strategy == "none" else "entity_group"
    for text in TEXTS:
        expected = pipeline(text, aggregation_strategy=strategy)
        (tokens,) = tokenize([text])
        with torch.no_grad():
            logits = pipeline.model(input_ids=torch.from_numpy(tokens.ids)[None]).logits[0].numpy()
        found = find_entities([text], tokens, activate(logits, "softmax"), LABELS["token-classify"], strategy)
        assert [(each.label, each.start, each.end) for each in found] == [
            (each[field], each["start"], each["end"]) for each in expected
        ]
        np.testing.assert_allclose(
            [each.score for each in found], [float(each["score"]) for each in expected], atol=1e-5
        )
        assert all(each.text == text[each.start : each.end] for each in found)
