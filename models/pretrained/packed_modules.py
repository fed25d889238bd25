"""Modules that mix neighboring tokens, for packed inputs: a convolution must not cross an input's border.

A module of a `transformers` model sees all items in a row, `[1, t, e]`. `apply_per_item` runs it over one item a row,
with zeros past the end, as if each item were alone. The layout comes through a context variable, because `transformers`
passes nothing of ours down.

Letters: b items, t tokens of all items, s longest item, e width.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from models.packed import PackedLayout

_current_layout: ContextVar[PackedLayout] = ContextVar("layout")


@contextmanager
def use_layout(layout: PackedLayout) -> Iterator[None]:
    """Apply `apply_per_item` by this layout from now on."""
    token = _current_layout.set(layout)
    try:
        yield
    finally:
        _current_layout.reset(token)


def apply_per_item(packed: Tensor, module: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply `module`, `[b, s, e]` -> `[b, s, f]`, to each item of a packed batch: `[1, t, e]` -> `[1, t, f]`."""
    layout = _current_layout.get()
    return layout.pack(module(layout.unpack(packed[0]) * layout.token_mask()[:, :, None]))[None]


class ItemConvolution(nn.Module):
    """A Conv1d along the tokens: `[1, e, t]` -> `[1, e, t]`."""

    def __init__(self, own: nn.Module) -> None:
        super().__init__()
        self.own = own

    def forward(self, states: Tensor) -> Tensor:
        mixed = apply_per_item(states.transpose(1, 2), lambda rows: self.own(rows.transpose(1, 2)).transpose(1, 2))
        return mixed.transpose(1, 2)


class TrigramEmbeddings(nn.Module):
    """MobileBERT's embeddings, each of a token and its two neighbors: ids `[1, t]` -> `[1, t, e]`.

    The neighbor past an item's end is zero, as it is where a text is alone; in a padded batch of `transformers` it is
    the word [PAD].
    """

    def __init__(self, own: nn.Module) -> None:
        super().__init__()
        self.own = own
        self.words = own.get_submodule("word_embeddings")

    def forward(self, input_ids: Tensor, position_ids: Tensor, **_none: Any) -> Tensor:
        positions = _current_layout.get().unpack(position_ids[0][:, None])[:, :, 0]
        words: Tensor = self.words(input_ids)
        return apply_per_item(words, lambda rows: self.own(inputs_embeds=rows, position_ids=positions))


def replace_trigram_embeddings(model: PreTrainedModel) -> None:
    """Keep the embeddings of a MobileBertModel within each item."""
    model.embeddings = TrigramEmbeddings(model.embeddings)
