"""Tests of sources by their hub id."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from export import hub
from export.__main__ import main
from export.errors import SourceError
from export.options import ExportOptions
from export.pipeline import export
from tests.checkpoints import write_bert
from tests.export.sources import write_json

READ = {
    "config.json": 700,
    "model.safetensors": 90_000_000,
    "tokenizer.json": 466_000,
    "tokenizer_config.json": 350,
    "vocab.txt": 232_000,
    "merges.txt": 1000,
    "sentencepiece.bpe.model": 5_000_000,
    "modules.json": 229,
    "sentence_xlm-roberta_config.json": 53,
    "config_sentence_transformers.json": 116,
    "0_Transformer/config.json": 700,
    "0_Transformer/vocab.txt": 700,
    "0_Transformer/sentencepiece.bpe.model": 700,
    "0_CLIPModel/vocab.json": 700,
    "0_CLIPModel/merges.txt": 700,
    "0_Transformer/model-00001-of-00002.safetensors": 1000,
    "1_Pooling/config.json": 190,
    "2_Dense/config.json": 115,
    "2_Dense/model.safetensors": 1_000_000,
}
LEFT = ["pytorch_model.bin", "2_Dense/pytorch_model.bin", "modeling.py", "onnx/config.json", "onnx/model.onnx",
        "model.fp16.safetensors", "model-00001-of-00002.safetensors", "pytorch_model.bin.index.json",
        "README.md", "tf_model.h5", "checkpoint-500/config.json"]  # fmt: skip


@dataclass
class File:
    filename: str
    file_size: int | None
    will_download: bool = True


@dataclass
class Hub:
    """A repository with `files`, some `cached`; `fetched` are those that were asked for in earnest."""

    directory: Path
    files: dict[str, int]
    cached: tuple[str, ...] = ()
    error: Exception | None = None
    fetched: list[str] = field(default_factory=list)

    def snapshot_download(
        self, _source: str, *, allow_patterns: list[str], ignore_patterns: list[str], dry_run: bool = False
    ) -> object:
        if self.error:
            raise self.error
        wanted = [
            name
            for name in self.files
            if any(fnmatch(name, pattern) for pattern in allow_patterns)
            and not any(fnmatch(name, pattern) for pattern in ignore_patterns)
        ]
        if dry_run:
            return [File(name, self.files[name], name not in self.cached) for name in wanted]
        self.fetched = wanted
        return str(self.directory)


def _at(monkeypatch: pytest.MonkeyPatch, repository: Hub) -> Hub:
    monkeypatch.setattr(hub, "snapshot_download", repository.snapshot_download)
    return repository


def test_id_is_fetched_with_every_file_that_is_read_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = _at(monkeypatch, Hub(tmp_path, {**READ, **dict.fromkeys(LEFT, 10**9)}))
    assert hub.resolve_source("owner/model") == tmp_path
    assert set(repository.fetched) == READ.keys()
    assert "owner/model: 19 files to fetch, 96.7 MB" in capsys.readouterr().err


def test_size_leaves_out_what_is_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _at(monkeypatch, Hub(tmp_path, READ, cached=("model.safetensors",)))
    hub.resolve_source("owner/model")
    assert "18 files to fetch, 6.7 MB, 1 more are in the cache" in capsys.readouterr().err
    _at(monkeypatch, Hub(tmp_path, READ, cached=tuple(READ)))
    hub.resolve_source("owner/model")
    assert "all 19 files are in the cache" in capsys.readouterr().err


def test_shards_are_fetched_where_there_is_no_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = {"model-00001-of-00002.safetensors": 1, "model.safetensors.index.json": 1}
    repository = _at(monkeypatch, Hub(tmp_path, shards))
    hub.resolve_source("owner/model")
    assert set(repository.fetched) == shards.keys()


def test_model_without_safetensors_is_refused_before_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = _at(monkeypatch, Hub(tmp_path, {"config.json": 1, "pytorch_model.bin": 10**9}))
    with pytest.raises(SourceError, match=r"owner/model has no model\.safetensors on the hub"):
        hub.resolve_source("owner/model")
    assert not repository.fetched


def _offline(cache: Path) -> subprocess.CompletedProcess[str]:
    """What a process without a hub makes of an id; the library reads the variables when it is imported."""
    program = "from export.hub import resolve_source; print(resolve_source('owner/model'))"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache)}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)


def test_cached_model_is_read_offline(tmp_path: Path) -> None:
    repository = tmp_path / "models--owner--model"
    snapshot = repository / "snapshots" / ("0" * 40)
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    write_json(snapshot / "config.json", {})
    assert "SourceError: owner/model has no weights in the cache" in _offline(tmp_path).stderr
    (snapshot / "model.safetensors").write_bytes(b"")
    found = _offline(tmp_path)
    assert found.stdout.strip() == str(snapshot)
    assert found.stderr == "owner/model: the hub cannot be reached; the files in the cache are taken\n"


def test_model_that_is_not_cached_is_refused_offline(tmp_path: Path) -> None:
    assert "owner/model does not exist here, and cannot be fetched from the hub: the hub" in _offline(tmp_path).stderr


def test_verify_takes_an_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_bert(tmp_path / "source")
    artifact = tmp_path / "artifact"
    export(source, artifact, ExportOptions())
    _at(monkeypatch, Hub(source, {"model.safetensors": 1}))
    assert main(["verify", str(artifact), "owner/model"]) == 0


def test_path_is_not_asked_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _at(monkeypatch, Hub(tmp_path, {}, error=AssertionError()))
    assert hub.resolve_source(str(tmp_path)) == tmp_path
    assert hub.resolve_source("no/such/directory") == Path("no/such/directory")


_RESPONSE: Any = httpx.Response(404, request=httpx.Request("GET", "http://hub/owner/model"))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (LocalEntryNotFoundError("no network\nat all"), "the hub cannot be reached"),
        (RepositoryNotFoundError("404\n\nnot found", response=_RESPONSE), "has no such repository, or it is private"),
        (GatedRepoError("403\n\ngated", response=_RESPONSE), "it is gated; accept its terms"),
        (HfHubHTTPError("503 busy\nlater", response=_RESPONSE), "503 busy$"),
        (OSError("no space left"), "no space left"),
    ],
)
def test_failed_fetch_is_explained_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    _at(monkeypatch, Hub(tmp_path, {}, error=error))
    with pytest.raises(
        SourceError, match=f"owner/model does not exist here, and cannot be fetched from the hub: .*{message}"
    ) as refused:
        hub.resolve_source("owner/model")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("source", ["", " "])
def test_empty_source_is_not_the_working_directory(source: str) -> None:
    with pytest.raises(SourceError, match="the source is empty; give a directory"):
        hub.resolve_source(source)
