"""Helpers that change a file of a source, open it, and expect a refusal."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from export.errors import ExportError
from export.options import ExportOptions
from export.targets.base import ExportTarget
from export.targets.loader import load_target
from export.targets.text import TextTarget
from models.artifact.specs import TextSpec

LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:53aa51172d142c89\nsize 908683\n"
HTML_PAGE = "\n<!DOCTYPE html>\n<html><head><title>owner/model</title></head></html>\n"


def update_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def write_json(path: Path, content: object) -> None:
    """Write JSON, and the folder that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def open_source(source: Path, **options: Any) -> ExportTarget:
    return load_target(source, ExportOptions(**options))


def text_spec(source: Path, **options: Any) -> TextSpec:
    subject = open_source(source, **options)
    assert isinstance(subject, TextTarget)
    assert subject.text is not None
    return subject.text


def export_error(source: Path, **options: Any) -> str:
    """Why a source cannot be opened, which is one line."""
    with pytest.raises(ExportError) as refused:
        open_source(source, **options)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def add_weights(source: Path, **shapes: tuple[int, ...]) -> Path:
    """Add tensors to a source's weights; "__" stands for "." in their names."""
    weights = load_file(source / "model.safetensors")
    new: Mapping[str, Tensor] = {name.replace("__", "."): torch.randn(shape) for name, shape in shapes.items()}
    save_file({**weights, **new}, source / "model.safetensors", {"format": "pt"})
    return source


def rename_weights(source: Path, rename: Callable[[str], str]) -> Path:
    weights = load_file(source / "model.safetensors")
    save_file(
        {rename(name): tensor for name, tensor in weights.items()}, source / "model.safetensors", {"format": "pt"}
    )
    return source


def move_encoder_to_folder(source: Path, folder: str) -> Path:
    """Move the encoder of a sentence-transformers directory to a folder of its own, as old releases kept it."""
    (source / folder).mkdir()
    stages = ("modules.json", "config_sentence_transformers.json")
    for path in list(source.iterdir()):
        if path.is_file() and path.name not in stages:
            shutil.move(path, source / folder / path.name)
    modules = json.loads((source / "modules.json").read_text())
    modules[0]["path"] = folder
    write_json(source / "modules.json", modules)
    return source


def write_modules(source: Path, *types: str) -> Path:
    """Write modules.json with these classes; a bare name is one of the old sentence_transformers.models."""
    paths = [name if "." in name else f"sentence_transformers.models.{name}" for name in types]
    modules = [
        {"idx": i, "name": str(i), "path": f"{i}_{path.rpartition('.')[2]}" if i else "", "type": path}
        for i, path in enumerate(paths)
    ]
    write_json(source / "modules.json", modules)
    return source


def remove_st_files(source: Path) -> Path:
    """Take the files of sentence-transformers away."""
    (source / "modules.json").unlink()
    shutil.rmtree(source / "1_Pooling")
    return source
