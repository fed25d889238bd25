"""Text encoders that others trained: a local Hugging Face directory, its own code untouched.

`transformers` asks an attention function by name; ours is registered under `headlight_packed` and finds the layout
of the batch in the keyword arguments that the model hands through. Only safetensors are read, only code that
ships with `transformers` is run, and nothing is fetched.

Letters: b items, t tokens of all items, s longest item, e width.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AutoModel, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface
from transformers.utils import logging as transformers_logging
from typing_extensions import override

from models.contract.manifest import Pooling
from models.packed import Layout, PackedEncoder, packed_attention
from models.pooling import pool

ARCHITECTURES = ("bert", "roberta", "xlm-roberta")
"""`model_type`s that take packed ids with explicit positions; positions of the last two start after the padding id."""

PACKED = "headlight_packed"


def _packed_interface(
    _module: nn.Module,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    _attention_mask: Tensor | None,
    *,
    layout: Layout,
    scaling: float | None = None,
    **_kwargs: Any,
) -> tuple[Tensor, None]:
    """`transformers`' attention signature over `packed_attention`; q, k, v `[1, h, t, d]` -> `[1, t, h, d]`."""
    return packed_attention(q, k, v, layout, q.shape[-1] ** -0.5 if scaling is None else scaling), None


def _no_mask(*_args: Any, **_kwargs: Any) -> None:
    """Packed attention needs no mask: the layout says what belongs together."""


AttentionInterface.register(PACKED, _packed_interface)
AttentionMaskInterface.register(PACKED, _no_mask)


def load(directory: Path, *, attention: str) -> PreTrainedModel:
    """Load the encoder in `directory` in float32, without a pooling head, in evaluation mode.

    `attention` is `PACKED`, or a name that `transformers` knows ("eager" returns its weights).
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    model: PreTrainedModel = AutoModel.from_pretrained(
        directory,
        attn_implementation=attention,
        add_pooling_layer=False,
        dtype=torch.float32,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
    )
    return model.eval()


class PackedTextEncoder(PackedEncoder):
    """A text encoder over packed ids. `model` was loaded with `attention=PACKED`."""

    def __init__(self, model: PreTrainedModel, pooling: Pooling) -> None:
        super().__init__()
        self.model = model
        self.pooling = pooling

    @override
    def forward(self, input_ids: Tensor, position_ids: Tensor, layout: Layout) -> Tensor:
        out = self.model(input_ids=input_ids[None], position_ids=position_ids[None], layout=layout)
        return pool(layout.unpack(out.last_hidden_state[0]), layout.real(), self.pooling)
