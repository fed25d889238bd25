"""Tests of unread weights: harmless for a stated reason, or refused by file and name."""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests import hf_vision
from tests.checkpoints import write_bert
from tests.export.sources import add_weights, export_error, open_source, rename_weights, update_json
from tests.hf_text import write_text

_Q = "encoder__layer__0__attention__self__query"


@pytest.mark.parametrize(
    ("name", "shape", "way_out"),
    [
        (f"{_Q}__lora_A__default__weight", (4, 32), "merge the adapter"),
        (f"{_Q}__lora_B__weight", (32, 4), "merge the adapter"),
        ("encoder__layer__0__output__adapters__a__adapter_down__0__weight", (4, 32), "merge the adapter"),
        ("encoder__layer__0__attention__self__distance_embedding__weight", (79, 8), "relative positions"),
        ("prompt_encoder__embedding__weight", (10, 32), "prompts and prefixes"),
        ("prefix_encoder__embedding__weight", (10, 128), "prompts and prefixes"),
        ("encoder__layer__0__extra_norm__weight", (32,), "remove them"),
        ("encoder__layer__0__gate", (1,), "remove them"),
        ("encoder__final_layer_norm__bias", (32,), "remove them"),
        ("embeddings__task_type_embeddings__weight", (3, 32), "remove them"),
        ("embeddings__embeddings_project__weight", (32, 32), "remove them"),
        ("bert__encoder__layer__1__lora_A__weight", (4, 32), "merge the adapter"),
        (f"{_Q}__weight_format__SCB", (32,), "quantized"),
    ],
)
def test_unread_weights_are_refused_by_file_and_name(
    tmp_path: Path, name: str, shape: tuple[int, ...], way_out: str
) -> None:
    said = export_error(add_weights(write_bert(tmp_path), **{name: shape}))
    assert re.search(
        rf"model\.safetensors has {re.escape(name.replace('__', '.'))}, which BertModel does not read", said
    )
    assert way_out in said


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("embeddings__position_ids", (1, 40)),
        ("pooler__dense__weight", (32, 32)),
        ("bert__pooler__dense__bias", (32,)),
        ("cls__predictions__bias", (14,)),
        ("cls__seq_relationship__weight", (2, 32)),
        ("lm_head__dense__weight", (32, 32)),
        ("vocab_transform__weight", (32, 32)),
        ("classifier__weight", (2, 32)),
        ("qa_outputs__weight", (2, 32)),
        ("encoder__layer__2__output__dense__weight", (32, 64)),
        ("encoder__layer__11__attention__self__query__bias", (32,)),
    ],
)
def test_harmless_weights_are_left_out(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    open_source(add_weights(write_bert(tmp_path), **{name: shape}))


def test_several_unread_weights_are_counted(tmp_path: Path) -> None:
    source = add_weights(write_bert(tmp_path), x__a=(1,), x__b=(1,), x__c=(1,))
    assert re.search(r"has x\.a and 2 more, which", export_error(source))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "0.auto_model.", "model.bert."])
def test_prefix_of_another_module_is_named(tmp_path: Path, prefix: str) -> None:
    said = export_error(rename_weights(write_bert(tmp_path), lambda name: f"{prefix}{name}"))
    assert re.search(rf"have {re.escape(prefix)}embeddings\..*without the prefix '{re.escape(prefix)}'", said)


def test_prefix_of_its_own_class_is_removed(tmp_path: Path) -> None:
    open_source(rename_weights(write_bert(tmp_path), lambda name: f"bert.{name}"))


def test_names_of_the_first_release_are_read(tmp_path: Path) -> None:
    def rename(name: str) -> str:
        return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")

    open_source(rename_weights(write_bert(tmp_path), rename))


@pytest.mark.parametrize("twin", ["bert.embeddings.LayerNorm.weight", "embeddings.LayerNorm.gamma"])
def test_weight_that_is_there_twice_is_refused(tmp_path: Path, twin: str) -> None:
    source = add_weights(write_bert(tmp_path), **{twin.replace(".", "__"): (32,)})
    assert re.search(r"have .*LayerNorm.* and .*LayerNorm.*: keep the trained one", export_error(source))


def test_quantized_weights_are_refused(tmp_path: Path) -> None:
    path = write_bert(tmp_path) / "model.safetensors"
    weights = load_file(path)
    name = "encoder.layer.0.output.dense.weight"
    save_file({**weights, name: weights[name].to(torch.int8)}, path, {"format": "pt"})
    assert re.search(rf"{re.escape(name)} of the type I8, so the model is quantized", export_error(tmp_path))


def test_truncated_weights_are_named(tmp_path: Path) -> None:
    path = write_bert(tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert re.search(r"model\.safetensors \([\d,]+ bytes\) is cut off", export_error(tmp_path))


def test_truncated_shard_is_named(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    path = source / "model-00001-of-00001.safetensors"
    (source / "model.safetensors").rename(path)
    index = {"metadata": {}, "weight_map": dict.fromkeys(load_file(path), path.name)}
    (source / "model.safetensors.index.json").write_text(json.dumps(index))
    open_source(source)
    path.write_bytes(path.read_bytes()[:-100])
    assert re.search(r"model-00001-of-00001\.safetensors \([\d,]+ bytes\) is cut off", export_error(source))


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_stored_rotary_frequencies_agree_with_the_config(tmp_path: Path, factor: float) -> None:
    source = write_text("nomic_bert", tmp_path)
    weights = load_file(source / "model.safetensors")
    stored = factor / 1000 ** (torch.arange(0, 8, 2) / 8)
    name = "encoder.layers.0.attn.rotary_emb.inv_freq"
    save_file({**weights, name: stored}, source / "model.safetensors", {"format": "pt"})
    if factor == 1:
        open_source(source)
    else:
        assert re.search(r"inv_freq of other rotary positions than config\.json", export_error(source))


@pytest.mark.parametrize(
    ("tower", "name", "read"),
    [
        ("text", "text_model__encoder__layers__0__self_attn__q_proj__lora_A__weight", False),
        ("text", "vision_model__encoder__layers__0__self_attn__q_proj__lora_A__weight", True),
        ("text", "logit_scale", True),
    ],
)
@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_weights_of_the_other_tower_are_ignored(tmp_path: Path, kind: str, tower: str, name: str, read: bool) -> None:
    source = write_text(kind, tmp_path)
    if name not in ("logit_scale",):
        add_weights(source, **{name: (4, 32)})
    if read:
        open_source(source, modality=tower)
    else:
        assert "lora_A" in export_error(source, modality=tower)


@pytest.mark.parametrize("kind", ["vit", "dinov2", "clip", "clip-plain", "siglip", "swin"])
def test_unread_weights_of_image_encoders_are_refused(tmp_path: Path, kind: str) -> None:
    hf_vision.write_checkpoint(kind, tmp_path)
    prefix = {"vit": "vit__", "clip": "vision_model__", "clip-plain": "", "siglip": "vision_model__"}.get(kind, "")
    add_weights(tmp_path, **{f"{prefix}encoder__x__lora_A__weight": (4, 32)})
    assert re.search(
        r"model\.safetensors has .*lora_A\.weight, which .* does not read", export_error(tmp_path, modality="image")
    )


@pytest.mark.parametrize("entry", ["is_decoder", "add_cross_attention"])
def test_decoder_is_refused(tmp_path: Path, entry: str) -> None:
    source = write_bert(tmp_path)
    update_json(source / "config.json", **{entry: True})
    assert re.search(rf"config\.json has {entry}, so it .* was trained as an encoder", export_error(source))


def test_relative_positions_are_refused(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    update_json(source / "config.json", position_embedding_type="relative_key")
    assert re.search(r'config\.json has position_embedding_type: "relative_key", which', export_error(source))
