"""Tests of Hugging Face directories: what is read of config and weights, and which are refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPModel

from export.errors import OptionError, SourceError
from export.options import ExportOptions
from export.pipeline import export
from export.targets.loader import load_target
from tests.checkpoints import WORDS, write_bert, write_roberta
from tests.export.sources import (
    export_error,
    open_source,
    rename_weights,
    text_spec,
    update_json,
    write_json,
    write_modules,
)
from tests.hf_text import write_text


def test_positions_start_behind_the_padding_of_roberta(tmp_path: Path) -> None:
    text = text_spec(write_roberta(tmp_path))
    assert (text.position_offset, text.max_tokens) == (2, 32)


@pytest.mark.parametrize(
    ("padding", "message"),
    [
        (None, "has pad_token_id: null, behind which roberta counts its positions"),
        (-5, "lacks a required size: position_offset "),
    ],
)
def test_roberta_without_padding_is_refused(tmp_path: Path, padding: int | None, message: str) -> None:
    source = write_roberta(tmp_path)
    update_json(source / "config.json", pad_token_id=padding)
    assert f"config.json {message}" in export_error(source)


def test_texts_of_siglip_are_padded(tmp_path: Path) -> None:
    text = text_spec(write_text("siglip", tmp_path), modality="text")
    assert (text.padding_id, text.max_tokens, text.vocab_size) == (0, 40, len(WORDS))


def test_source_with_two_towers_requires_modality_option(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--modality"):
        load_target(write_text("clip", tmp_path), ExportOptions())


def test_source_takes_what_it_takes(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="takes text inputs, not image"):
        load_target(write_bert(tmp_path), ExportOptions(modality="image"))


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": "abc"},
        {"hidden_act": None},
        {"hidden_act": "nonsense"},
        {"num_attention_heads": 0},
        {"num_attention_heads": 5},
        {"num_hidden_layers": 0},
        {"num_hidden_layers": -1},
        {"vocab_size": 0},
        {"vocab_size": None},
        {"max_position_embeddings": None},
        {"quantization_config": {"quant_method": "gptq", "bits": 4}},
        {"quantization_config": "x"},
        {"transformers_weights": "w.safetensors.index.json"},
        {"model_type": "gpt2", "architectures": ["bert"]},
        {"model_type": 5},
    ],
    ids=str,
)
def test_config_that_cannot_be_is_refused_in_one_line(tmp_path: Path, changes: dict[str, object]) -> None:
    source = write_bert(tmp_path)
    update_json(source / "config.json", **changes)
    assert export_error(source)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", r"config\.json"),
        ("{", r"config\.json"),
        ('{"model_type": "mamba"}', r"'mamba' in .*config\.json cannot be exported; text: bert"),
        ('{"model_type": "nonesuch"}', r"config\.json cannot be read: .*nonesuch"),
        ('{"hidden_size": 32}', r"config\.json has no model_type; add"),
    ],
)
def test_config_that_is_malformed_or_of_an_unknown_model_is_refused(tmp_path: Path, text: str, message: str) -> None:
    source = write_bert(tmp_path)
    (source / "config.json").write_text(text)
    assert re.search(message, export_error(source))


def test_code_that_comes_with_a_model_is_not_run(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    update_json(source / "config.json", auto_map={"AutoModel": "modeling.Evil"})
    (source / "modeling.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(SourceError, match=r"auto_map.*never run; remove the entry if transformers' own 'bert'"):
        load_target(source, ExportOptions())


@pytest.mark.parametrize(
    ("kind", "code", "message"),
    [
        ("new", "Alibaba-NLP/new-impl--modeling.NewModel", r"Alibaba-NLP/new-impl\) and is never run; .*'gte'"),
        ("own", "modeling.OwnModel", r"modeling\.OwnModel\) and is never run; .*a model_type of transformers"),
    ],
)
def test_model_whose_code_is_elsewhere_is_refused_in_a_whole_sentence(
    tmp_path: Path, kind: str, code: str, message: str
) -> None:
    source = write_bert(tmp_path)
    update_json(source / "config.json", model_type=kind, auto_map={"AutoConfig": code, "AutoModel": code})
    assert re.search(
        rf"config\.json has the model_type '{kind}', whose code is elsewhere .*{message}", export_error(source)
    )


def test_weights_of_another_size_are_refused_by_name(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    update_json(source / "config.json", intermediate_size=65)
    with pytest.raises(SourceError, match=r"have encoder\.layer\.0\..*bias of \[64\], its config says \[65\]"):
        load_target(source, ExportOptions())


def test_weights_that_lack_a_layer_are_refused(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    update_json(source / "config.json", num_hidden_layers=3)
    assert "config.json has num_hidden_layers: 3, and the weights are of 2 layers" in export_error(source)
    distilbert = write_text("distilbert", tmp_path / "distilbert")
    update_json(distilbert / "config.json", n_layers=4)
    assert "config.json has n_layers: 4, and the weights are of 2 layers" in export_error(distilbert)


def test_weights_that_lack_part_of_a_layer_are_named(tmp_path: Path) -> None:
    source = rename_weights(write_bert(tmp_path), lambda name: name.replace("1.attention.self.query", "1.unread"))
    assert re.search(r"lack encoder\.layer\.1\.attention\.self\.query\.bias and 1 more", export_error(source))


@pytest.mark.parametrize(
    ("kind", "entry"), [("bert", "hidden_act"), ("distilbert", "activation"), ("modernbert", "hidden_activation")]
)
def test_unknown_activation_is_named(tmp_path: Path, kind: str, entry: str) -> None:
    source = write_text(kind, tmp_path)
    update_json(source / "config.json", **{entry: "supergelu"})
    assert f'config.json has {entry}: "supergelu", an activation that transformers does not have' in export_error(
        source
    )


@pytest.mark.parametrize("value", ["32", None])
def test_entry_of_the_wrong_type_is_named_with_what_is_wrong(tmp_path: Path, value: str | None) -> None:
    source = write_bert(tmp_path)
    update_json(source / "config.json", hidden_size=value)
    assert re.search(r"config\.json cannot be read: .*'hidden_size'.*expected int, got ", export_error(source))


@pytest.mark.parametrize("kind", ["bert", "clip"])
def test_return_dict_does_not_matter(tmp_path: Path, kind: str) -> None:
    source = write_text(kind, tmp_path)
    whole = json.loads((source / "config.json").read_text())
    text = {"text_config": {**whole["text_config"], "return_dict": False}} if kind == "clip" else {}
    update_json(source / "config.json", return_dict=False, **text)
    subject = open_source(source, modality="text")
    ids = [np.array([1, 5, 6, 2])]
    (expected,) = subject.reference_outputs(ids)
    found = subject.run(ids)[0]
    np.testing.assert_allclose(
        found / np.linalg.norm(found), expected.output / np.linalg.norm(expected.output), atol=1e-5
    )


@pytest.mark.parametrize("end", [2, 9])
def test_clip_pools_the_first_token_that_ends_a_text(tmp_path: Path, end: int) -> None:
    """Configs that say 2 are of before it was read: the largest id ends a text there."""
    source = write_text("clip", tmp_path, like_trained=False)
    text = json.loads((source / "config.json").read_text())["text_config"]
    update_json(source / "config.json", text_config={**text, "eos_token_id": end})
    subject = open_source(source, modality="text")
    texts = [[1, 5, 9, 6, 7, 9], [1, 5, 9], [1, 9, 9, 9, 5], [1, 3, 4, 5]]
    model = CLIPModel.from_pretrained(source).double().eval()
    ends = [2, 2, 1, 3 if end == 2 else 0]
    for ids, at in zip(texts, ends, strict=True):
        item = np.array(ids)
        wanted = model.get_text_features(torch.tensor([ids])).pooler_output[0].detach().numpy()
        (expected,) = subject.reference_outputs([item])
        np.testing.assert_allclose(expected.output, wanted, rtol=1e-10, atol=1e-10)
        assert expected.pooling_weights.argmax() == at
        np.testing.assert_allclose(subject.run([np.array([3, 9]), item])[1], wanted, atol=1e-5)


def test_graph_of_clip_pools_the_first_end(tmp_path: Path) -> None:
    source = write_text("clip", tmp_path / "source")
    text = json.loads((source / "config.json").read_text())["text_config"]
    update_json(source / "config.json", text_config={**text, "eos_token_id": 9})
    manifest = export(source, tmp_path / "artifacts" / "clip", ExportOptions(modality="text"))
    assert manifest.embedding.pooling == "last"


def test_decoder_without_a_file_that_pools_it_exports_with_a_note(tmp_path: Path) -> None:
    source = write_text("qwen3", tmp_path)
    (note,) = open_source(source).notes
    assert "pooled: by its last token" in note
    assert not open_source(source, pooling="mean").notes
    write_modules(source, "Transformer", "Pooling")
    write_json(source / "1_Pooling" / "config.json", {"pooling_mode": "lasttoken"})
    assert not open_source(source).notes


def test_text_tower_has_its_own_pooling_without_a_note(tmp_path: Path) -> None:
    assert not open_source(write_text("clip", tmp_path), modality="text").notes
