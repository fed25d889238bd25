"""Text towers of CLIP and SigLIP over packed ids.

Their embeddings refuse a sequence longer than there are positions, which packed items in a row are; the positions of
each item by itself are within.

Letters: b items, t tokens of all items, s longest item, e width.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


class PackedTextEmbeddings(nn.Module):
    """Token and position, added: ids `[1, t]` -> `[1, t, e]`."""

    def __init__(self, own: nn.Module) -> None:
        super().__init__()
        self.token_embedding = own.get_submodule("token_embedding")
        self.position_embedding = own.get_submodule("position_embedding")

    def forward(self, input_ids: Tensor, position_ids: Tensor, **_none: None) -> Tensor:
        embedded: Tensor = self.token_embedding(input_ids) + self.position_embedding(position_ids)
        return embedded


def use_packed_positions(model: PreTrainedModel) -> None:
    tower = dict(model.named_children()).get("text_model", model)
    tower.embeddings = PackedTextEmbeddings(tower.get_submodule("embeddings"))


_OLD_END = 2
"""The eos_token_id of old CLIP configs, for which `transformers` pools at the largest id."""


def until_end(config: Any, ids: Tensor, real: Tensor) -> Tensor:
    """Keep the tokens up to the one that CLIP pools, the first end token: ids, real `[b, s]` -> `[b, s]`.

    Without such a token that is the first. A text can spell the token itself.
    """
    ids = torch.where(real, ids, -1)
    end = ids.amax(1, keepdim=True) if config.eos_token_id == _OLD_END else config.eos_token_id
    ends = (ids == end).long()
    counted = ends.cumsum(1)
    first = (torch.arange(ids.shape[1], device=ids.device) == 0)[None]
    ended = counted[:, -1:] > 0
    return real & (counted == ends) & (first | ended)
