"""What differs between the image encoders of `transformers` that can be taken.

A family's own pooling is the first of its `pools`. ViT, DeiT, DINO, MSN: CLS of the last layer, normalised. I-JEPA:
the mean, for there is no CLS. BEiT: as its `use_mean_pooling` says, the norm after the mean. CLIP: CLS, normalised, and
projected where the checkpoint projects. SigLIP: its attention pooling head, or the mean where it has none. Swin: the
mean over the last stage. What follows the pooling is applied to each position as well, if it is a norm or a linear map.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor
from transformers import AutoModel, CLIPVisionModelWithProjection

from models.contract.specs import Pooling
from models.pretrained.picture_encoder import Pool

Pools = Mapping[Pooling, Pool]


def _first(out: Any, _prefix: int) -> Tensor:
    row: Tensor = out.last_hidden_state[:, 0]
    return row


def _mean(out: Any, prefix: int) -> Tensor:
    row: Tensor = out.last_hidden_state[:, prefix:].mean(dim=1)
    return row


def _own(out: Any, _prefix: int) -> Tensor:
    row: Tensor = out.pooler_output
    return row


def _projected(out: Any, _prefix: int) -> Tensor:
    row: Tensor = out.image_embeds
    return row


def _normed(model: Any, out: Any) -> Tensor:
    rows: Tensor = model.post_layernorm(out.last_hidden_state)
    return rows


def _normed_and_projected(model: Any, out: Any) -> Tensor:
    rows: Tensor = model.visual_projection(_normed(model.vision_model, out))
    return rows


def _normed_by_the_pooler(model: Any, out: Any) -> Tensor:
    rows: Tensor = model.pooler.layernorm(out.last_hidden_state)
    return rows


_FIRST, _ALIKE = Pool(_first), Pool(_mean)


def _always(pools: Pools) -> Callable[[Any], Pools]:
    return lambda _config: pools


def _of_beit(config: Any) -> Pools:
    if config.use_mean_pooling:
        return {"mean": Pool(_own, _normed_by_the_pooler, "mapped")}
    return {"cls": _FIRST, "mean": _ALIKE}


def _of_siglip(config: Any) -> Pools:
    headed = getattr(config, "vision_use_head", True)  # the entry is newer than the head
    return {"attention": Pool(_own, positions="states"), "mean": _ALIKE} if headed else {"mean": _ALIKE}


_CLS_OR_MEAN = _always({"cls": _FIRST, "mean": _ALIKE})
_MEAN = _always({"mean": _ALIKE})


@dataclass(frozen=True)
class Architecture:
    """`cls` positions come first, then the config's registers if it has `registers`, then the patches.

    `width` names the config's entry; `oblong` says that pictures need not be square, `flexible` that the model's own
    code takes other sizes than its config's; `options` are for loading. `refusal` says why it cannot be exported.
    """

    pools: Callable[[Any], Pools]
    cls: int = 1
    registers: bool = False
    oblong: bool = False
    flexible: bool = False
    windowed: bool = False
    width: str = "hidden_size"
    auto: Any = AutoModel
    options: Mapping[str, Any] = field(default_factory=dict)
    refusal: str | None = None


_HEADLESS = {"add_pooling_layer": False}
_VIT = Architecture(_CLS_OR_MEAN, oblong=True, options=_HEADLESS)
_CLIP = Architecture(
    _always({"cls": Pool(_projected, _normed_and_projected)}),
    width="projection_dim",
    auto=CLIPVisionModelWithProjection,
)
_SIGLIP = Architecture(_of_siglip, cls=0)
_NAFLEX = replace(
    _SIGLIP,
    refusal="cuts each picture into patches by its own aspect ratio (NaFlex), and exported pictures have one shape; "
    "export a SigLIP 2 of a fixed resolution, whose model_type is siglip",
)

ARCHITECTURES = {
    "vit": _VIT,
    "deit": Architecture(_CLS_OR_MEAN, cls=2, oblong=True, options=_HEADLESS),
    "vit_msn": Architecture(_CLS_OR_MEAN, oblong=True),
    "ijepa": Architecture(_MEAN, cls=0, oblong=True, options=_HEADLESS),
    "beit": Architecture(_of_beit),
    "dinov2": Architecture(_CLS_OR_MEAN, flexible=True),
    "dinov2_with_registers": Architecture(_CLS_OR_MEAN, registers=True, flexible=True),
    "dinov3_vit": Architecture(_CLS_OR_MEAN, registers=True, oblong=True, flexible=True),
    "clip": _CLIP,
    "clip_vision_model": _CLIP,
    "CLIPVisionModel": Architecture(_always({"cls": Pool(_own, _normed)})),
    "siglip": _SIGLIP,
    "siglip_vision_model": _SIGLIP,
    "siglip2": _NAFLEX,
    "siglip2_vision_model": _NAFLEX,
    "swin": Architecture(_MEAN, cls=0, oblong=True, windowed=True),
}
"""By `model_type`; a name in the config's `architectures` comes before it."""


def find(config: Any) -> Architecture | None:
    """The architecture that a config names; None where its `model_type` is none of ours."""
    if config.model_type not in ARCHITECTURES:
        return None
    own = config.architectures if isinstance(config.architectures, list) else []
    names = [*filter(lambda name: isinstance(name, str), own), config.model_type]
    return next(ARCHITECTURES[name] for name in names if name in ARCHITECTURES)
