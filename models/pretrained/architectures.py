"""Image architectures of `transformers`: the differences between them.

A family's own pooling is the first of its `pools`. ViT, DeiT, DINO, MSN: CLS of the last layer, normalized. I-JEPA:
the mean, for there is no CLS. BEiT: as its `use_mean_pooling` says, the norm after the mean. CLIP: CLS, normalized, and
projected where the checkpoint projects. SigLIP: its attention pooling head, or the mean where it has none. Swin: the
mean over the last stage. What follows the pooling is applied to each position as well, if it is a norm or a linear map.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor
from transformers import AutoModel, CLIPVisionModelWithProjection

from models.artifact.specs import Pooling
from models.pretrained.vision_encoder import PoolingPlan

PoolingOptions = Mapping[Pooling, PoolingPlan]


def _cls_state(out: Any, _prefix: int) -> Tensor:
    row: Tensor = out.last_hidden_state[:, 0]
    return row


def _mean_patches(out: Any, num_prefix_tokens: int) -> Tensor:
    row: Tensor = out.last_hidden_state[:, num_prefix_tokens:].mean(dim=1)
    return row


def _pooler_output(out: Any, _prefix: int) -> Tensor:
    row: Tensor = out.pooler_output
    return row


def _image_embeds(out: Any, _prefix: int) -> Tensor:
    row: Tensor = out.image_embeds
    return row


def _layer_normed(model: Any, out: Any) -> Tensor:
    rows: Tensor = model.post_layernorm(out.last_hidden_state)
    return rows


def _normed_and_projected(model: Any, out: Any) -> Tensor:
    rows: Tensor = model.visual_projection(_layer_normed(model.vision_model, out))
    return rows


def _normed_by_the_pooler(model: Any, out: Any) -> Tensor:
    rows: Tensor = model.pooler.layernorm(out.last_hidden_state)
    return rows


_CLS_POOLING, _MEAN_POOLING = PoolingPlan(_cls_state), PoolingPlan(_mean_patches)


def _fixed_pools(pools: PoolingOptions) -> Callable[[Any], PoolingOptions]:
    return lambda _config: pools


def _beit_pools(config: Any) -> PoolingOptions:
    if config.use_mean_pooling:
        return {"mean": PoolingPlan(_pooler_output, _normed_by_the_pooler, "projected")}
    return {"cls": _CLS_POOLING, "mean": _MEAN_POOLING}


def _siglip_pools(config: Any) -> PoolingOptions:
    headed = getattr(config, "vision_use_head", True)  # the entry is newer than the head
    return (
        {"attention": PoolingPlan(_pooler_output, embedding_kind="hidden_states"), "mean": _MEAN_POOLING}
        if headed
        else {"mean": _MEAN_POOLING}
    )


_CLS_OR_MEAN = _fixed_pools({"cls": _CLS_POOLING, "mean": _MEAN_POOLING})
_MEAN = _fixed_pools({"mean": _MEAN_POOLING})


@dataclass(frozen=True)
class VisionArchitecture:
    """`num_cls_tokens` positions come first, then the config's registers if it has `registers`, then the patches.

    `dim_entry` names the config's entry; `non_square` says that images need not be square, `dynamic_size` that the
    model's own code takes other sizes than its config's; `options` are for loading. `refusal` says why it cannot be
    exported.
    """

    pools: Callable[[Any], PoolingOptions]
    num_cls_tokens: int = 1
    registers: bool = False
    non_square: bool = False
    dynamic_size: bool = False
    windowed: bool = False
    dim_entry: str = "hidden_size"
    model_class: Any = AutoModel
    options: Mapping[str, Any] = field(default_factory=dict)
    refusal: str | None = None


_NO_POOLING_LAYER = {"add_pooling_layer": False}
_VIT = VisionArchitecture(_CLS_OR_MEAN, non_square=True, options=_NO_POOLING_LAYER)
_CLIP = VisionArchitecture(
    _fixed_pools({"cls": PoolingPlan(_image_embeds, _normed_and_projected)}),
    dim_entry="projection_dim",
    model_class=CLIPVisionModelWithProjection,
)
_SIGLIP = VisionArchitecture(_siglip_pools, num_cls_tokens=0)
_NAFLEX = replace(
    _SIGLIP,
    refusal="cuts each picture into patches by its own aspect ratio (NaFlex), and exported pictures have one shape; "
    "export a SigLIP 2 of a fixed resolution, whose model_type is siglip",
)

ARCHITECTURES = {
    "vit": _VIT,
    "deit": VisionArchitecture(_CLS_OR_MEAN, num_cls_tokens=2, non_square=True, options=_NO_POOLING_LAYER),
    "vit_msn": VisionArchitecture(_CLS_OR_MEAN, non_square=True),
    "ijepa": VisionArchitecture(_MEAN, num_cls_tokens=0, non_square=True, options=_NO_POOLING_LAYER),
    "beit": VisionArchitecture(_beit_pools),
    "dinov2": VisionArchitecture(_CLS_OR_MEAN, dynamic_size=True),
    "dinov2_with_registers": VisionArchitecture(_CLS_OR_MEAN, registers=True, dynamic_size=True),
    "dinov3_vit": VisionArchitecture(_CLS_OR_MEAN, registers=True, non_square=True, dynamic_size=True),
    "clip": _CLIP,
    "clip_vision_model": _CLIP,
    "CLIPVisionModel": VisionArchitecture(_fixed_pools({"cls": PoolingPlan(_pooler_output, _layer_normed)})),
    "siglip": _SIGLIP,
    "siglip_vision_model": _SIGLIP,
    "siglip2": _NAFLEX,
    "siglip2_vision_model": _NAFLEX,
    "swin": VisionArchitecture(_MEAN, num_cls_tokens=0, non_square=True, windowed=True),
}
"""Architectures by `model_type`; a name in the config's `architectures` takes precedence."""


def find_architecture(config: Any) -> VisionArchitecture | None:
    """Return the architecture that a config names; None for an unknown `model_type`."""
    if config.model_type not in ARCHITECTURES:
        return None
    own = config.architectures if isinstance(config.architectures, list) else []
    names = [*filter(lambda name: isinstance(name, str), own), config.model_type]
    return next(ARCHITECTURES[name] for name in names if name in ARCHITECTURES)
