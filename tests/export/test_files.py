"""Which files a source may have: plain ones, inside it, and none that is pickled."""

import json
import os
from pathlib import Path

import pytest

from export import files
from export.errors import SourceError
from export.options import Options
from export.subjects.opening import open_subject
from tests.checkpoints import write_bert


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is no directory"):
        open_subject(tmp_path / "nowhere", Options())


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    source = write_bert(tmp_path)
    (source / missing).unlink()
    with pytest.raises(SourceError, match=missing):
        open_subject(source, Options())


def test_pickled_weights_are_not_read_and_the_way_out_is_told(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    (source / "model.safetensors").rename(source / "pytorch_model.bin")
    with pytest.raises(SourceError, match=r"pytorch_model\.bin is pickled.*save_pretrained"):
        open_subject(source, Options())


def test_an_adapter_is_refused(tmp_path: Path) -> None:
    (write_bert(tmp_path) / "adapter_config.json").write_text("{}")
    with pytest.raises(SourceError, match=r"adapter_config\.json is of an adapter; merge it"):
        open_subject(tmp_path, Options())


def test_a_link_out_of_the_directory_is_refused_and_a_hubs_cache_is_not(tmp_path: Path) -> None:
    source = write_bert(tmp_path / "models--a--b" / "snapshots" / "1")
    blob = tmp_path / "models--a--b" / "blobs" / "2"
    blob.parent.mkdir()
    (source / "model.safetensors").rename(blob)
    (source / "model.safetensors").symlink_to(blob)
    files.check(source)
    (source / "model.safetensors").unlink()
    (source / "model.safetensors").symlink_to(blob.rename(tmp_path / "elsewhere"))
    with pytest.raises(SourceError, match=r"model\.safetensors is a link out of the directory"):
        files.check(source)


def test_links_in_a_loop_and_what_is_no_file_are_refused(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    (source / "extra").symlink_to(source / "extra")
    with pytest.raises(SourceError, match="extra is a link that leads nowhere"):
        files.check(source)
    (source / "extra").unlink()
    os.mkfifo(source / "extra")
    with pytest.raises(SourceError, match="extra is neither a file nor a folder"):
        files.check(source)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../model.safetensors", "not a file beside it"),
        ("/etc/passwd", "not a file beside it"),
        ("a/b.safetensors", "not a file beside it"),
        ("evil.bin", "pickled and never opened"),
        ("absent.safetensors", r"has no absent\.safetensors"),
    ],
)
@pytest.mark.parametrize("index", ["model.safetensors.index.json", "w.safetensors.index.json"])
def test_a_shard_that_is_elsewhere_or_no_safetensors_is_refused(
    tmp_path: Path, index: str, name: str, message: str
) -> None:
    source = write_bert(tmp_path)
    (source / "evil.bin").write_bytes(b"pickled")
    (source / index).write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(SourceError, match=message):
        open_subject(source, Options())
