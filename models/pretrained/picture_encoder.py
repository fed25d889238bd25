"""An image encoder of `transformers` as a `PictureEncoder`: its own code, our attention.

What differs by architecture stands in the `Plan`, which `models.pretrained.vision` makes.

Letters: b items, s positions, y, x rows and columns of the picture in px, e embedding width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel
from typing_extensions import override

from models.attention import Observer, Spread, as_computed
from models.contract.specs import Pooling, Positions
from models.picture import Channels, PictureEncoder
from models.pretrained.probe import take_head
from models.pretrained.routing import Call, routed


def _states(_model: Any, out: Any) -> Tensor:
    states: Tensor = out.last_hidden_state
    return states


@dataclass(frozen=True)
class Pool:
    """Of what a model of `transformers` returned: `vector` `[b, e]`, given how long its prefix is, and the vectors of
    its `rows` `[b, s, e]`, given the model; `positions` says what these are to that."""

    vector: Callable[[Any, int], Tensor]
    rows: Callable[[Any, Any], Tensor] = _states
    positions: Positions = "parts"


@dataclass(frozen=True)
class Plan:
    """How one checkpoint is run and told; the names are those of `PictureEncoder`.

    `spreads` has a member for each layer; None is for layers that attend over all positions at once.
    """

    rows_px: int
    columns_px: int
    width: int
    grid: tuple[int, int]
    prefix: int
    pooling: Pooling
    pool: Pool
    spreads: tuple[Spread, ...] | None = None


class PretrainedPictureEncoder(PictureEncoder):
    """`model` was loaded with `routing.ROUTED`."""

    def __init__(self, model: PreTrainedModel, plan: Plan, *, middle: Channels, spread: Channels) -> None:
        super().__init__(middle=middle, spread=spread)
        self.model = model
        self.plan = plan
        self.rows_px, self.columns_px = plan.rows_px, plan.columns_px
        self.width = plan.width
        self.grid, self.prefix = plan.grid, plan.prefix
        self.pooling, self.positions = plan.pooling, plan.pool.positions
        self.probe = take_head(model) if plan.pooling == "attention" else None

    @override
    def encode(self, images: Tensor, observer: Observer) -> Tensor:
        spreads = repeat(as_computed) if self.plan.spreads is None else iter(self.plan.spreads)

        def attend(call: Call) -> Tensor:
            return observer.attend(call.q, call.k, call.v, call.bias, scale=call.scale, spread=next(spreads))

        with routed(attend):
            out = self.model(pixel_values=images)
        if observer.watching:
            observer.positions = self.plan.pool.rows(self.model, out)
        if self.probe is None:
            return self.plan.pool.vector(out, self.prefix)
        vector: Tensor = self.probe(out.last_hidden_state, observer)
        return vector
