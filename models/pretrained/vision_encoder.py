"""Image encoder of `transformers` as a `VisionEncoder`: its own code, our attention.

What differs by architecture stands in the `VisionPlan`, which `models.pretrained.vision` makes.

Letters: b items, s positions, y, x rows and columns of the image in px, e embedding width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel
from typing_extensions import override

from models.artifact.specs import Pooling, TokenEmbeddingKind
from models.attention import AttentionRecorder, ScatterToGrid, identity
from models.pretrained.attention_interface import AttentionCall, use_attention
from models.pretrained.attention_pooling import replace_pooling_head
from models.pretrained.heads import TrainedHead
from models.vision import Channels, VisionEncoder


def _states(_model: Any, out: Any) -> Tensor:
    states: Tensor = out.last_hidden_state
    return states


@dataclass(frozen=True)
class PoolingPlan:
    """Of what a model of `transformers` returned: `vector` `[b, e]`, given how long its prefix is, and the vectors of
    its `token_embeddings` `[b, s, e]`, given the model; `embedding_kind` says what these are to that."""

    vector: Callable[[Any, int], Tensor]
    token_embeddings: Callable[[Any, Any], Tensor] = _states
    embedding_kind: TokenEmbeddingKind = "pooled"


@dataclass(frozen=True)
class VisionPlan:
    """Plan to run one checkpoint and report its attention; the names are those of `VisionEncoder`.

    `scatters` has one member per layer; it is None if all layers attend over all positions.
    """

    height_px: int
    width_px: int
    embedding_dim: int
    grid: tuple[int, int]
    num_prefix_tokens: int
    pooling: Pooling
    pool: PoolingPlan
    scatters: tuple[ScatterToGrid, ...] | None = None


class PretrainedVisionEncoder(VisionEncoder):
    """Image encoder of `transformers`, loaded with `attention_interface.IMPLEMENTATION_NAME`; a `head` may follow."""

    def __init__(
        self,
        model: PreTrainedModel,
        plan: VisionPlan,
        *,
        image_mean: Channels,
        image_std: Channels,
        head: TrainedHead | None = None,
    ) -> None:
        super().__init__(image_mean=image_mean, image_std=image_std)
        self.model = model
        self.plan = plan
        self.height_px, self.width_px = plan.height_px, plan.width_px
        self.embedding_dim = plan.embedding_dim
        self.grid, self.num_prefix_tokens = plan.grid, plan.num_prefix_tokens
        self.pooling, self.embedding_kind = plan.pooling, plan.pool.embedding_kind if head is None else "hidden_states"
        self.trained_head = head
        self.probe = replace_pooling_head(model) if plan.pooling == "attention" else None

    @override
    def encode(self, images: Tensor, recorder: AttentionRecorder) -> Tensor:
        scatters = repeat(identity) if self.plan.scatters is None else iter(self.plan.scatters)

        def attend(call: AttentionCall) -> Tensor:
            return recorder.attend(call.q, call.k, call.v, call.bias, scale=call.scale, scatter=next(scatters))

        with use_attention(attend):
            out = self.model(pixel_values=images)
        if recorder.record:
            recorder.token_embeddings = self.plan.pool.token_embeddings(self.model, out)
        if self.trained_head:
            logits: Tensor = self.trained_head(out, pixel_values=images)
            return logits
        if self.probe is None:
            return self.plan.pool.vector(out, self.num_prefix_tokens)
        vector: Tensor = self.probe(out.last_hidden_state, recorder)
        return vector
