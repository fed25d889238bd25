"""Conversion of a model to another precision."""

from typing import TypeVar

import torch
from torch import nn

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def convert(module: ModuleT, dtype: torch.dtype) -> ModuleT:
    """Convert `module` in place, but leave rotary frequencies in float32.

    `transformers` keeps them so in every precision: rounded to half, they turn the last of 6,000 tokens by a tenth of a
    degree and more. In float64 they would give other angles than those that the model was trained with.
    """
    frequencies = {name: value for name, value in module.named_buffers() if name.endswith("inv_freq")}
    module.to(dtype)
    for name, value in frequencies.items():
        parent, _, own = name.rpartition(".")
        setattr(module.get_submodule(parent), own, value)
    return module
