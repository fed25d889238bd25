"""Tests of checkpoints with a trained head: refused as embedding models unless the task is given."""

import re
from pathlib import Path

import pytest

from export.inspection import verify
from export.options import ExportOptions
from export.pipeline import export
from tests import hf_vision
from tests.checkpoints import write_bert
from tests.export.sources import (
    add_weights,
    export_error,
    open_source,
    remove_st_files,
    update_json,
    write_json,
    write_modules,
)


def _classed(directory: Path, name: str) -> Path:
    source = remove_st_files(write_bert(directory))
    update_json(source / "config.json", architectures=[name])
    return source


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("BertForQuestionAnswering", "a question answering model"),
        ("BertForMultipleChoice", "a multiple choice model"),
        ("HF_ColBERT", "a multi-vector encoder"),
    ],
)
def test_head_named_by_the_class_is_refused_unless_the_task_is_given(tmp_path: Path, name: str, task: str) -> None:
    source = _classed(tmp_path, name)
    assert re.search(rf"appears to be {task}.*has architectures: {name}.*pass --task embed", export_error(source))
    assert open_source(source, task="embed").notes[0].startswith(f"this is {task}")


@pytest.mark.parametrize(
    ("name", "shape", "task"),
    [
        ("qa_outputs__weight", (2, 32), "a question answering model"),
        ("linear__weight", (128, 32), "a multi-vector encoder"),
    ],
)
def test_head_among_the_weights_is_refused(tmp_path: Path, name: str, shape: tuple[int, ...], task: str) -> None:
    source = add_weights(remove_st_files(write_bert(tmp_path)), **{name: shape})
    assert re.search(rf"appears to be {task}.*weights: {name.replace('__', '.')}", export_error(source))
    open_source(source, task="embed")


@pytest.mark.parametrize(
    ("types", "task"),
    [
        (("sentence_transformers.base.modules.transformer.Transformer",
          "sentence_transformers.sparse_encoder.models.SparseAutoEncoder"), "a sparse encoder"),
        (("sentence_transformers.sparse_encoder.models.MLMTransformer",
          "sentence_transformers.sparse_encoder.models.SpladePooling", "Normalize"), "a sparse encoder"),
        (("sentence_transformers.base.modules.transformer.Transformer",
          "sentence_transformers.sparse_encoder.modules.splade_pooling.SpladePooling", "Normalize"),
         "a sparse encoder"),
        (("Transformer", "pylate.models.Dense.Dense"), "a multi-vector encoder"),
        (("Transformer", "sentence_transformers.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask"),
         "a multi-vector encoder"),
        (("Transformer", "sentence_transformers.cross_encoder.modules.logit_score.LogitScore"), "a reranker"),
    ],
)  # fmt: skip
def test_pipeline_of_another_task_is_refused_unless_the_task_is_given(
    tmp_path: Path, types: tuple[str, ...], task: str
) -> None:
    source = write_modules(write_bert(tmp_path), *types)
    assert re.search(rf"appears to be {task}.*pass --task embed", export_error(source))
    assert open_source(source, task="embed").notes


@pytest.mark.parametrize(
    "entries",
    [
        {"model_type": "SparseEncoder"},
        {"model_type": "MultiVectorEncoder"},
        {"query_prefix": "[Q] ", "document_prefix": "[D] "},
    ],
)
def test_model_type_of_sentence_transformers_names_the_task(tmp_path: Path, entries: dict[str, str]) -> None:
    source = write_bert(tmp_path)
    write_json(source / "config_sentence_transformers.json", entries)
    assert "pass --task embed" in export_error(source)


@pytest.mark.parametrize("name", ["BertForSequenceClassification", "BertForMaskedLM", "Qwen3ForCausalLM"])
def test_modules_are_the_authors_word(tmp_path: Path, name: str) -> None:
    source = add_weights(write_bert(tmp_path), classifier__weight=(2, 32))
    update_json(source / "config.json", architectures=[name])
    write_json(source / "config_sentence_transformers.json", {"model_type": "SentenceTransformer"})
    assert not open_source(source).notes


@pytest.mark.parametrize("name", ["BertForMaskedLM", "BertForPreTraining", "BertLMHeadModel"])
def test_pretraining_checkpoint_is_exported_with_a_note(tmp_path: Path, name: str) -> None:
    notes = open_source(_classed(tmp_path, name)).notes
    assert re.search(r"pre-training checkpoint.*46 on STS-B", notes[0])


def test_pretraining_checkpoint_is_seen_by_its_weights(tmp_path: Path) -> None:
    source = add_weights(_classed(tmp_path, "BertModel"), cls__predictions__bias=(14,))
    assert "pre-training checkpoint" in open_source(source).notes[0]


def test_encoder_of_a_reranker_is_sealed_and_verified_where_the_task_is_given(tmp_path: Path) -> None:
    source = add_weights(_classed(tmp_path / "source", "BertForSequenceClassification"), classifier__weight=(1, 32))
    manifest = export(source, tmp_path / "reranker", ExportOptions(task="embed", normalize=False))
    assert manifest.embedding.pooling == "mean"
    cosine = verify(tmp_path / "reranker", source).embedding_cosine
    assert cosine
    assert cosine.graph < 1e-3


def test_plain_encoder_has_no_note(tmp_path: Path) -> None:
    assert not open_source(_classed(tmp_path, "BertModel")).notes


def test_encoder_of_an_image_classifier_is_exported_with_a_note(tmp_path: Path) -> None:
    hf_vision.write_checkpoint("vit", tmp_path)
    notes = open_source(tmp_path, task="embed").notes
    assert re.search(r"this is ViTForImageClassification.*its head is left out", notes[0])


def test_task_of_a_saved_head_does_not_stand_in_the_way_of_the_encoder(tmp_path: Path) -> None:
    source = remove_st_files(write_bert(tmp_path))
    method = {"method": "forward", "method_output_name": "logits"}
    entries = {
        "transformer_task": "fill-mask",
        "modality_config": {"text": method},
        "module_output_name": "token_embeddings",
    }
    write_json(source / "sentence_bert_config.json", entries)
    assert re.search(
        r"sentence_bert_config\.json has transformer_task: fill-mask\); pass --task embed", export_error(source)
    )
    subject = open_source(source, task="embed")
    assert "not trained to be compared" in subject.notes[0]
    assert subject.embedding_spec("x").pooling == "mean"
