"""Tests of a source's files: plain ones, inside it, and no pickles."""

import os
import re
from pathlib import Path

import pytest

from export import source_checks
from export.errors import SourceError
from export.options import ExportOptions
from export.targets.loader import load_target
from tests.checkpoints import write_bert
from tests.export.sources import (
    HTML_PAGE,
    LFS_POINTER,
    export_error,
    move_encoder_to_folder,
    open_source,
    write_json,
    write_modules,
)


def test_missing_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not a directory"):
        load_target(tmp_path / "nowhere", ExportOptions())


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    source = write_bert(tmp_path)
    (source / missing).unlink()
    with pytest.raises(SourceError, match=missing):
        load_target(source, ExportOptions())


def test_pickled_weights_are_rejected_with_conversion_advice(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    (source / "model.safetensors").rename(source / "pytorch_model.bin")
    with pytest.raises(SourceError, match=r"pytorch_model\.bin is pickled.*save_pretrained"):
        load_target(source, ExportOptions())


def test_adapter_is_refused(tmp_path: Path) -> None:
    (write_bert(tmp_path) / "adapter_config.json").write_text("{}")
    with pytest.raises(SourceError, match=r"adapter_config\.json belongs to an adapter; merge it"):
        load_target(tmp_path, ExportOptions())


def test_link_out_of_the_directory_is_refused_and_a_hubs_cache_is_not(tmp_path: Path) -> None:
    source = write_bert(tmp_path / "models--a--b" / "snapshots" / "1")
    blob = tmp_path / "models--a--b" / "blobs" / "2"
    blob.parent.mkdir()
    (source / "model.safetensors").rename(blob)
    (source / "model.safetensors").symlink_to(blob)
    source_checks.check_files(source)
    (source / "model.safetensors").unlink()
    (source / "model.safetensors").symlink_to(blob.rename(tmp_path / "elsewhere"))
    with pytest.raises(SourceError, match=r"model\.safetensors is a link that leaves the directory"):
        source_checks.check_files(source)


def test_folder_of_an_encoder_in_a_hubs_cache_is_read(tmp_path: Path) -> None:
    source = move_encoder_to_folder(write_bert(tmp_path / "models--a--b" / "snapshots" / "1"), "0_Transformer")
    weights = source / "0_Transformer" / "model.safetensors"
    blob = tmp_path / "models--a--b" / "blobs" / "2"
    blob.parent.mkdir()
    weights.rename(blob)
    weights.symlink_to(blob)
    open_source(source)
    open_source(source / "0_Transformer")


def test_links_in_a_loop_and_what_is_no_file_are_refused(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    (source / "extra.json").symlink_to(source / "extra.json")
    with pytest.raises(SourceError, match=r"extra\.json is a broken link"):
        source_checks.check_files(source)
    (source / "extra.json").unlink()
    os.mkfifo(source / "extra")
    with pytest.raises(SourceError, match="extra is neither a file nor a folder"):
        source_checks.check_files(source)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../model.safetensors", "not a file of its folder"),
        ("/etc/passwd", "not a file of its folder"),
        ("a/b.safetensors", "not a file of its folder"),
        ("evil.bin", "pickled and never opened"),
        ("absent.safetensors", r"has no absent\.safetensors"),
    ],
)
def test_shard_that_is_elsewhere_or_no_safetensors_is_refused(tmp_path: Path, name: str, message: str) -> None:
    source = write_bert(tmp_path)
    (source / "model.safetensors").unlink()
    (source / "evil.bin").write_bytes(b"pickled")
    write_json(source / "model.safetensors.index.json", {"weight_map": {"a": name}})
    with pytest.raises(SourceError, match=message):
        load_target(source, ExportOptions())


def test_index_that_transformers_cannot_read_is_refused(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    (source / "model.safetensors").rename(source / "model-1.safetensors")
    write_json(source / "model.safetensors.index.json", {"weight_map": {"a": "model-1.safetensors"}})
    assert re.search(r"model\.safetensors\.index\.json has no metadata", export_error(source))


@pytest.mark.parametrize(
    "name",
    ["pytorch_model.bin.index.json", "tf_model.h5.index.json", "flax_model.msgpack.index.json",
     "model.safetensors.index.json", "model.fp16.safetensors.index.json"],
)  # fmt: skip
def test_stale_index_next_to_whole_weights_is_ignored(tmp_path: Path, name: str) -> None:
    source = write_bert(tmp_path)
    write_json(source / name, {"metadata": {}, "weight_map": {"a": "pytorch_model-00001-of-00002.bin"}})
    open_source(source)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "modules.json",
                                  "1_Pooling/config.json", "sentence_bert_config.json"])  # fmt: skip
@pytest.mark.parametrize(
    ("content", "message"), [(LFS_POINTER, "is a Git LFS pointer.*git lfs pull"), (HTML_PAGE, "is an HTML page")]
)
def test_broken_download_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    source = write_bert(tmp_path)
    (source / name).write_text(content)
    assert re.search(rf"{re.escape(name)} {message}", export_error(source))


def test_pointer_in_place_of_a_shard_is_named(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    (source / "model.safetensors").unlink()
    (source / "model-1.safetensors").write_text(LFS_POINTER)
    write_json(source / "model.safetensors.index.json", {"metadata": {}, "weight_map": {"a": "model-1.safetensors"}})
    assert re.search(r"model-1\.safetensors is a Git LFS pointer", export_error(source))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize(
    ("content", "message"), [(LFS_POINTER, "is a Git LFS pointer"), (HTML_PAGE, "is an HTML page")]
)
def test_broken_download_of_a_dense_stage_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    source = write_modules(write_bert(tmp_path), "Transformer", "Pooling", "Dense")
    write_json(source / "2_Dense" / "config.json", {"in_features": 32, "out_features": 8})
    (source / "2_Dense" / name).write_text(content)
    assert f"{source / '2_Dense' / name} {message}" in export_error(source)


def test_unread_pointer_is_ignored(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    for name in ("pytorch_model.bin", "rust_model.ot", "eval.json"):
        (source / name).write_text(LFS_POINTER)
    open_source(source)


@pytest.mark.parametrize("name", ["README.md", "LICENSE", "onnx/README.txt"])
def test_unread_link_that_leads_nowhere_is_ignored(tmp_path: Path, name: str) -> None:
    source = write_bert(tmp_path / "source")
    (source / name).parent.mkdir(exist_ok=True)
    (source / name).symlink_to(tmp_path / "nowhere")
    open_source(source)
    (tmp_path / "nowhere").write_text("it is there now, outside the directory")
    assert f"{name} is a link that leaves the directory" in export_error(source)


@pytest.mark.parametrize("name", ["modules.json", "1_Pooling/config.json", "vocab.txt", "model.safetensors"])
def test_link_in_place_of_a_file_that_is_read_leads_somewhere(tmp_path: Path, name: str) -> None:
    source = write_bert(tmp_path)
    (source / name).unlink(missing_ok=True)
    (source / name).symlink_to(tmp_path / "nowhere")
    assert f"{name} is a broken link" in export_error(source)


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "tokenizer_config.json", "modules.json", "1_Pooling/config.json"]
)
def test_byte_order_mark_is_named(tmp_path: Path, name: str) -> None:
    source = write_bert(tmp_path)
    old = (source / name).read_text() if (source / name).exists() else "{}"
    (source / name).write_text(old, encoding="utf-8-sig")
    assert f"{source / name} begins with a byte order mark" in export_error(source)


def test_file_that_is_no_json_is_named_without_a_gap(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    (source / "modules.json").write_text("")
    assert "modules.json is invalid: Invalid JSON: EOF" in export_error(source)
