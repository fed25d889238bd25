"""Training state to resume from after a kill: weights, optimizer and step, in one safetensors file. No pickle.

The file is written under a temporary name and renamed: a kill while writing loses only the steps since the last save.
"""

import os
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.optim import AdamW

from models.train.errors import ResumeError

STATE_FILE: Final = "training.safetensors"


def save(directory: Path, step: int, digest: str, modules: nn.ModuleDict, optimizer: AdamW) -> None:
    """Save the state after `step` steps; `digest` identifies the recipe."""
    tensors = {f"module.{name}": tensor.detach().cpu() for name, tensor in modules.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value).cpu() for name, value in state.items()}
    path = directory / STATE_FILE
    save_file(tensors, path.with_suffix(".part"), {"step": str(step), "recipe": digest})
    os.replace(path.with_suffix(".part"), path)


def resume(directory: Path, digest: str, modules: nn.ModuleDict, optimizer: AdamW) -> int:
    """Load what `save` wrote and return its step; 0 if nothing was saved.

    Raises ResumeError when it is of another recipe, or broken.
    """
    path = directory / STATE_FILE
    if not path.is_file():
        return 0
    try:
        return _load(path, digest, modules, optimizer)
    except (SafetensorError, RuntimeError, KeyError) as error:
        raise ResumeError(f"{path} is corrupt; remove it to start over") from error


def _load(path: Path, digest: str, modules: nn.ModuleDict, optimizer: AdamW) -> int:
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    if metadata.get("recipe") != digest:
        raise ResumeError(f"{path} belongs to another recipe; pass another --out or remove it")
    modules.load_state_dict(_with_prefix("module.", tensors))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in _with_prefix("optimizer.", tensors).items():
        index, name = key.split(".")
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(metadata["step"])


def _with_prefix(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
