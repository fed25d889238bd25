"""Tests of sparse encoders: at parity with `transformers`, alone and in a batch, and which checkpoints are one."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from export.inspection import verify
from export.options import ExportOptions
from export.pipeline import export
from models.artifact import tensors
from models.artifact.arrays import Floats
from models.pretrained.text import load_text_model
from service import limits
from service.runtime.encoder import TextEncoder, open_encoder
from service.runtime.sparse_vectors import pack_row, unpack_row
from tests.export.sources import export_error, open_source, write_json, write_modules
from tests.heads import write_with_head

KINDS = ("bert", "roberta", "xlm-roberta", "distilbert", "electra", "mpnet", "modernbert", "deberta-v2")
MAX_DEVIATION = 1e-4
TEXTS = ["the old lamp", "a keeper reads the light and the sea .", "sea", "the lamp " * 30]
SPLADE = (
    "sentence_transformers.base.modules.transformer.Transformer",
    "sentence_transformers.sparse_encoder.modules.splade_pooling.SpladePooling",
)
OLD_SPLADE = (
    "sentence_transformers.sparse_encoder.models.MLMTransformer",
    "sentence_transformers.sparse_encoder.models.SpladePooling",
)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_those_of_the_masked_language_model(kind: str, tmp_path: Path) -> None:
    source = write_with_head(kind, "sparse", tmp_path / "source")
    manifest = export(source, tmp_path / "model", ExportOptions(task="sparse", allow_lossy=True))
    assert (manifest.tasks, manifest.head) == (("sparse",), None)
    assert manifest.parity.logits is not None
    assert manifest.parity.logits.graph <= MAX_DEVIATION
    expected = _transformers(source, kind)
    encoder = open_encoder(tmp_path / "model")
    assert isinstance(encoder, TextEncoder)
    for order in (range(len(TEXTS)), reversed(range(len(TEXTS)))):
        indices = list(order)
        items = encoder.preprocess([TEXTS[i] for i in indices])
        batch = encoder.run([item.data for item in items], (tensors.OUTPUT, tensors.SPARSE_TOKENS))
        for row, i in enumerate(indices):
            logits = expected[i]
            weights = np.log1p(logits.max(axis=0).clip(min=0))
            np.testing.assert_allclose(batch[tensors.OUTPUT][row], weights, atol=MAX_DEVIATION)
            tokens = batch[tensors.SPARSE_TOKENS][row].astype(int)
            assert tokens.max() < items[row].num_tokens
            np.testing.assert_allclose(
                logits[tokens, range(len(weights))], logits.max(axis=0), atol=MAX_DEVIATION * np.abs(logits).max()
            )


def _transformers(source: Path, kind: str) -> list[Floats]:
    """The logits of TEXTS over the vocabulary, `[n, c]` each, of the original in float64."""
    tokenizer: Any = AutoTokenizer.from_pretrained(source)
    model: Any = load_text_model(source, kind, attention="eager", task="sparse").double()
    padding_offset = (model.config.pad_token_id or 0) + 1 if "roberta" in kind or kind == "mpnet" else 0
    limit = model.config.max_position_embeddings - padding_offset
    logits = []
    for text in TEXTS:
        ids = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            logits.append(model(input_ids=ids).logits[0].numpy())
    return logits


@pytest.mark.parametrize("types", [SPLADE, OLD_SPLADE])
def test_pipeline_of_a_sparse_encoder_is_exported_as_one(tmp_path: Path, types: tuple[str, ...]) -> None:
    source = _write_splade(tmp_path / "source", types, pooling_strategy="max", activation_function="relu")
    target = open_source(source)
    assert (target.task, target.head) == ("sparse", None)
    assert target.outputs[:3] == (tensors.OUTPUT, tensors.TOKEN_EMBEDDINGS, tensors.SPARSE_TOKENS)
    export(source, tmp_path / "model", ExportOptions(allow_lossy=True))
    verify(tmp_path / "model", source)


@pytest.mark.parametrize("entries", [{"pooling_strategy": "sum"}, {"activation_function": "log1p_relu"}])
def test_other_reduction_is_refused(tmp_path: Path, entries: dict[str, str]) -> None:
    source = _write_splade(tmp_path, SPLADE, **entries)
    assert re.search(r"1_SpladePooling/config\.json reduces the logits by .*the max of log", export_error(source))


def test_other_reduction_does_not_stand_in_the_way_of_the_encoder(tmp_path: Path) -> None:
    target = open_source(_write_splade(tmp_path, SPLADE, pooling_strategy="sum"), task="embed")
    assert target.task == "embed"
    assert "not trained to be compared" in target.notes[0]


def _write_splade(directory: Path, types: tuple[str, ...], **pooling: str) -> Path:
    source = write_modules(write_with_head("bert", "sparse", directory), *types)
    (source / "1_SpladePooling").mkdir()
    write_json(source / "1_SpladePooling" / "config.json", pooling)
    write_json(source / "config_sentence_transformers.json", {"model_type": "SparseEncoder", "prompts": {"query": ""}})
    entries = {"transformer_task": "fill-mask", "modality_config": {"text": {"method_output_name": "logits"}}}
    write_json(source / "sentence_bert_config.json", entries)
    return source


def test_checkpoint_without_the_head_is_no_sparse_encoder(tmp_path: Path) -> None:
    source = write_with_head("bert", "rerank", tmp_path / "reranker")
    assert "is a reranker (cross-encoder), so it cannot be exported with --task sparse" in export_error(
        source, task="sparse"
    )


def test_only_entries_that_are_not_zero_are_packed() -> None:
    weights = np.array([0, 2, 0, 0.5], np.float32)
    tokens = np.array([9, 3, 9, 1], np.float32)
    vector = unpack_row(pack_row(weights, tokens))
    assert (vector.indices.tolist(), vector.values.tolist()) == ([1, 3], [2, 0.5])
    assert vector.tokens is not None
    assert vector.tokens.tolist() == [3, 1]
    assert unpack_row(pack_row(weights, None)).tokens is None
    assert unpack_row(pack_row(np.zeros(4, np.float32), None)).indices.tolist() == []


def test_largest_entries_are_kept_of_a_vector_with_too_many() -> None:
    weights = np.random.default_rng(0).permutation(3 * limits.MAX_SPARSE_ENTRIES).astype(np.float32)
    vector = unpack_row(pack_row(weights, None))
    assert vector.values.min() == 2 * limits.MAX_SPARSE_ENTRIES
    assert len(vector.indices) == limits.MAX_SPARSE_ENTRIES
    assert np.all(np.diff(vector.indices) > 0)


def test_value_that_is_not_finite_is_kept_among_too_many() -> None:
    weights = np.ones(3 * limits.MAX_SPARSE_ENTRIES, np.float32)
    weights[7] = np.nan
    assert np.isnan(unpack_row(pack_row(weights, None)).values).sum() == 1
