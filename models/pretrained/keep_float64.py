"""Float64 throughout, for models whose own code rounds intermediate values to float32.

RMS norms and the softmax of many models compute in float32 whatever the model's dtype is. That is more exact in half
floats, and less in float64, where a reference would carry errors as large as those that it is to find. Rotations keep
their float32: their angles are defined by it, and are the same in every runtime.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_SOFTMAX = (functional.softmax, torch.softmax, Tensor.softmax)


class KeepFloat64(TorchFunctionMode):
    """A context in which no float64 tensor becomes float32 by `.float()`, `.to(torch.float32)` or a softmax."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        _types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if args and isinstance(args[0], Tensor) and args[0].dtype == torch.float64:
            if func is Tensor.float or (func is Tensor.to and torch.float32 in args[1:]):
                return args[0]
            if func in _SOFTMAX and kwargs.get("dtype") == torch.float32:
                kwargs = {**kwargs, "dtype": torch.float64}
        return func(*args, **kwargs)
