"""The text towers of CLIP and SigLIP over packed ids.

Their embeddings refuse a sequence longer than there are positions, which packed items in a row are; the positions of
each item by itself are within.

Letters: t tokens of all items, e width.
"""

from torch import Tensor, nn
from transformers import PreTrainedModel


class PackedEmbeddings(nn.Module):
    """Token and position, added: ids `[1, t]` -> `[1, t, e]`."""

    def __init__(self, own: nn.Module) -> None:
        super().__init__()
        self.token_embedding = own.get_submodule("token_embedding")
        self.position_embedding = own.get_submodule("position_embedding")

    def forward(self, input_ids: Tensor, position_ids: Tensor, **_none: None) -> Tensor:
        embedded: Tensor = self.token_embedding(input_ids) + self.position_embedding(position_ids)
        return embedded


def take_packed_positions(model: PreTrainedModel) -> None:
    tower = dict(model.named_children()).get("text_model", model)
    tower.embeddings = PackedEmbeddings(tower.get_submodule("embeddings"))
