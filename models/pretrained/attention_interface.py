"""Bridge from the attention of a `transformers` model to ours.

`transformers` asks an attention function by name. Ours is registered under `IMPLEMENTATION_NAME` and hands each call to
whatever `use_attention` has set around the model's forward pass: not every model passes keyword arguments down to its
attention, so the way there is a context variable.

Letters: b items, h heads, s positions, d width of one head.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from models.packed import RelativeBiasFunction

IMPLEMENTATION_NAME = "headlight"


@dataclass(frozen=True)
class AttentionCall:
    """One call of attention: q, k, v `[b, h, s, d]`, and the bias `[b, h, s, s]` (or 1 for each) of the model's own.

    `window` is how far a position sees to either side, itself included; None is all the way. `relative` makes a bias
    of the layer's queries and keys.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    bias: Tensor | None
    scale: float
    window: int | None
    relative: RelativeBiasFunction | None = None


AttentionHandler = Callable[[AttentionCall], Tensor]
"""Computes attention `[b, h, s, d]`."""

_current_handler: ContextVar[AttentionHandler] = ContextVar("attend")


def dispatch_attention(call: AttentionCall) -> Tensor:
    """For models that do not ask `transformers` for their attention: `[b, h, s, d]`."""
    return _current_handler.get()(call)


@contextmanager
def use_attention(attend: AttentionHandler) -> Iterator[None]:
    """Every attention of models loaded with `IMPLEMENTATION_NAME` goes through `attend`."""
    token = _current_handler.set(attend)
    try:
        yield
    finally:
        _current_handler.reset(token)


def _attention_interface(
    _module: nn.Module,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attention_mask: Tensor | None = None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **_kwargs: Any,
) -> tuple[Tensor, None]:
    """Compute attention with the signature of `transformers`; returns `[b, s, h, d]`."""
    scale = q.shape[-1] ** -0.5 if scaling is None else scaling
    if (groups := q.shape[1] // k.shape[1]) > 1:  # queries that share their keys
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
    out = dispatch_attention(AttentionCall(q, k, v, attention_mask, scale, sliding_window))
    return out.transpose(1, 2), None


def _no_mask(*_args: Any, **_kwargs: Any) -> None:
    """Return no mask: the attention implementation already knows the padding."""


AttentionInterface.register(IMPLEMENTATION_NAME, _attention_interface)
AttentionMaskInterface.register(IMPLEMENTATION_NAME, _no_mask)
