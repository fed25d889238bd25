"""Dense stages as sentence-transformers writes them."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor


def write_dense(
    folder: Path, inputs: int, outputs: int, *, overrides: dict[str, Any] | None = None, **entries: Any
) -> dict[str, Tensor]:
    """The weights of a stage with these entries; `overrides` stands in its config.json whatever they are."""
    weights = {"linear.weight": torch.randn(outputs, inputs)}
    if entries.get("bias", True):
        weights["linear.bias"] = torch.randn(outputs)
    if entries.get("use_residual") and inputs != outputs:
        weights["residual.weight"] = torch.randn(outputs, inputs)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"in_features": inputs, "out_features": outputs, "bias": True, **entries, **(overrides or {})}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(weights, folder / "model.safetensors")
    return weights
