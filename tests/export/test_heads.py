"""Tests of trained heads: every architecture and task, at parity with `transformers` and through the runtime."""

import json
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
from models.artifact.specs import Task
from models.preprocess.model_input import TextPair
from models.pretrained.text import load_text_model
from service.runtime.encoder import TextEncoder, open_encoder
from tests import hf_vision
from tests.checkpoints import write_bert
from tests.export.sources import export_error, open_source, remove_st_files, update_json, write_json, write_modules
from tests.heads import LABELS, write_with_head

KINDS = ("bert", "roberta", "xlm-roberta", "distilbert", "electra", "mpnet", "modernbert", "deberta-v2", "gte")
MAX_DEVIATION = 1e-4
"""Of logits, relative to their root mean square."""

PAIRS = [
    TextPair("the old lamp", "a keeper reads the light and the sea ."),
    TextPair("the sea", "light"),
    TextPair("a lamp and a light and a keeper and the sea", ""),
    TextPair("reads", "the lamp " * 30),
]


@pytest.mark.parametrize("task", ["rerank", "classify", "token-classify"])
@pytest.mark.parametrize("kind", KINDS)
def test_head_answers_as_transformers_does(kind: str, task: Task, tmp_path: Path) -> None:
    source = write_with_head(kind, task, tmp_path / "source")
    manifest = export(source, tmp_path / "model", ExportOptions(allow_lossy=True))  # the limits are those below
    assert (manifest.tasks, manifest.head and manifest.head.labels) == ((task,), LABELS[task])
    assert manifest.parity.logits is not None
    assert manifest.parity.logits.graph <= MAX_DEVIATION
    assert manifest.parity.weights is not None
    assert manifest.parity.weights.graph <= 10 * (manifest.parity.weights.original or 0) + 1e-5
    logits, weights = _transformers(source, kind, task)
    encoder = open_encoder(tmp_path / "model")
    assert isinstance(encoder, TextEncoder)
    outputs = (tensors.OUTPUT, tensors.layer_weights(0))
    scale = float(np.sqrt(np.mean(np.concatenate([each.ravel() for each in logits]) ** 2)))
    for order in (range(len(PAIRS)), reversed(range(len(PAIRS)))):
        indices = list(order)
        items = encoder.preprocess([PAIRS[i] for i in indices])
        batch = encoder.run([item.data for item in items], outputs, heads=(0, 1, 2, 3))
        for row, i in enumerate(indices):
            n = items[row].num_tokens
            found = batch[tensors.OUTPUT][row]
            found = found[:n] if found.ndim == 2 else found
            np.testing.assert_allclose(found / scale, logits[i] / scale, atol=MAX_DEVIATION)
            np.testing.assert_allclose(batch[tensors.layer_weights(0)][row, :, :n, :n], weights[i], atol=1e-3)


def _transformers(source: Path, kind: str, task: Task) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The logits of PAIRS, and the first layer's weights, of the original, one pair at a time, in float64."""
    tokenizer: Any = AutoTokenizer.from_pretrained(source)
    model: Any = load_text_model(source, kind, attention="eager", task=task).double()
    logits, weights = [], []
    for pair in PAIRS:
        encoded = tokenizer([pair.first], [pair.second], truncation=True, max_length=_limit(model), return_tensors="pt")
        names = {"input_ids", "token_type_ids"}
        with torch.no_grad():
            out = model(**{name: ids for name, ids in encoded.items() if name in names}, output_attentions=True)
        logits.append(out.logits[0].numpy())
        weights.append(out.attentions[0][0].numpy())
    return logits, weights


def _limit(model: Any) -> int:
    config = model.config
    offset = config.pad_token_id + 1 if config.model_type in ("roberta", "xlm-roberta", "mpnet") else 0
    return int(config.max_position_embeddings - offset)


IMAGE_HEADS = {
    "vit": "ViTForImageClassification",
    "deit": "DeiTForImageClassification",
    "deit-teacher": "DeiTForImageClassificationWithTeacher",
    "vit_msn": "ViTMSNForImageClassification",
    "beit": "BeitForImageClassification",
    "dinov2": "Dinov2ForImageClassification",
    "dinov2-registers": "Dinov2WithRegistersForImageClassification",
    "swin": "SwinForImageClassification",
}


@pytest.mark.parametrize("name", IMAGE_HEADS)
def test_image_classifier_answers_as_transformers_does(name: str, tmp_path: Path) -> None:
    hf_vision.write_checkpoint(name.removesuffix("-teacher"), tmp_path / "source", head=IMAGE_HEADS[name], seed=1)
    manifest = export(tmp_path / "source", tmp_path / "model")
    assert manifest.tasks == ("classify",)
    assert manifest.head
    assert manifest.head.labels == ("LABEL_0", "LABEL_1")
    assert manifest.parity.logits is not None
    assert manifest.parity.logits.graph <= MAX_DEVIATION


@pytest.mark.parametrize(
    ("entries", "count", "task", "activation"),
    [
        ({}, 1, "rerank", "sigmoid"),
        ({"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}, 1, "rerank", "none"),
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}}, 1, "rerank", "sigmoid"),
        ({"sentence_transformers": {"version": "5.0"}}, 3, "classify", "none"),
        ({"problem_type": "regression"}, 1, "classify", "none"),
        ({"problem_type": "multi_label_classification"}, 3, "classify", "sigmoid"),
        ({"problem_type": "single_label_classification"}, 3, "classify", "softmax"),
        ({}, 3, "classify", "softmax"),
    ],
)
def test_task_and_activation_are_those_of_the_source(
    entries: dict[str, Any], count: int, task: Task, activation: str, tmp_path: Path
) -> None:
    source = write_with_head("bert", "rerank" if count == 1 else "classify", tmp_path)
    update_json(source / "config.json", **entries)
    target = open_source(source)
    assert target.task == task
    assert target.head is not None
    assert target.head.activation == activation


def test_cross_encoder_as_sentence_transformers_6_saves_it(tmp_path: Path) -> None:
    source = write_with_head("bert", "rerank", tmp_path)
    write_modules(source, "sentence_transformers.base.modules.transformer.Transformer")
    method = {"method": "forward", "method_output_name": "logits"}
    entries = {
        "transformer_task": "sequence-classification", "modality_config": {"text": method},
        "module_output_name": "scores",
    }  # fmt: skip
    write_json(source / "sentence_bert_config.json", entries)
    activation = "torch.nn.modules.linear.Identity"
    write_json(
        source / "config_sentence_transformers.json", {"model_type": "CrossEncoder", "activation_fn": activation}
    )
    target = open_source(source)
    assert (target.task, target.head and target.head.activation) == ("rerank", "none")
    write_modules(source, "Transformer", "Pooling")
    assert "stages behind a head" in export_error(source)
    assert open_source(source, task="embed").task == "embed"


def test_task_can_be_chosen_where_the_head_allows_it(tmp_path: Path) -> None:
    one = write_with_head("bert", "rerank", tmp_path / "one")
    assert open_source(one).notes
    assert open_source(one, task="classify").task == "classify"
    assert open_source(one, task="embed").head is None
    three = write_with_head("bert", "classify", tmp_path / "three")
    assert "has 3 labels; a reranker has one" in export_error(three, task="rerank")
    assert "so it cannot be exported with --task token-classify" in export_error(three, task="token-classify")
    tokens = write_with_head("bert", "token-classify", tmp_path / "tokens")
    assert "is a token classifier, so it cannot be exported with --task rerank" in export_error(tokens, task="rerank")
    plain = remove_st_files(write_bert(tmp_path / "plain"))
    assert "has no head, so it cannot be exported with --task classify" in export_error(plain, task="classify")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"sentence_transformers": {"activation_fn": "evil.code.Run"}}, "names the activation 'evil.code.Run'"),
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.GELU"}}, "known, of torch.nn"),
        ({"id2label": {"0": "a", "1": "b"}}, "classifier.bias of [1], its config says [2]"),
        ({"architectures": ["BertModel"]}, "do not name its class"),
        ({"architectures": ["BertForQuestionAnswering"]}, "appears to be a question answering model"),
    ],
)
def test_head_that_cannot_be_right_is_refused(entries: dict[str, Any], message: str, tmp_path: Path) -> None:
    source = write_with_head("bert", "rerank", tmp_path)
    update_json(source / "config.json", **entries)
    if entries.get("architectures") == ["BertForQuestionAnswering"]:
        (source / "model.safetensors").rename(source / "old")
        from safetensors.torch import load_file, save_file

        weights = load_file(source / "old")
        kept = {name: weight for name, weight in weights.items() if not name.startswith("classifier")}
        save_file(kept, source / "model.safetensors", metadata={"format": "pt"})
    assert message in export_error(source)


def test_options_of_embeddings_are_refused(tmp_path: Path) -> None:
    source = write_with_head("bert", "rerank", tmp_path)
    for option in ({"pooling": "mean"}, {"normalize": True}, {"space": "other"}):
        assert "is of embeddings" in export_error(source, **option)


def test_pair_tokenization_that_is_not_the_files_is_refused(tmp_path: Path) -> None:
    source = write_with_head("bert", "rerank", tmp_path)
    config = json.loads((source / "tokenizer_config.json").read_text())
    write_json(source / "tokenizer_config.json", config | {"truncation_side": "left"})
    assert "differently" in export_error(source)


def test_reduced_precision_is_judged_by_what_the_head_is_for(tmp_path: Path) -> None:
    reranker = write_with_head("bert", "rerank", tmp_path / "reranker")
    ranked = export(reranker, tmp_path / "a" / "int8", ExportOptions(precision="int8", allow_lossy=True)).quality
    assert ranked is not None
    assert ranked.rank_correlation is not None
    assert (ranked.mean_cosine, ranked.label_agreement) == (None, None)
    labeler = write_with_head("bert", "token-classify", tmp_path / "labeler")
    labeled = export(labeler, tmp_path / "b" / "fp16", ExportOptions(precision="fp16", allow_lossy=True)).quality
    assert labeled is not None
    assert labeled.label_agreement is not None
    assert labeled.label_agreement > 0.9


def test_artifact_with_a_head_is_verified_against_its_source(tmp_path: Path) -> None:
    source = write_with_head("electra", "classify", tmp_path / "source")
    export(source, tmp_path / "model")
    figures = verify(tmp_path / "model", source)
    assert figures.embedding is None
    assert figures.logits is not None
