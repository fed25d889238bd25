"""Small image encoders as Hugging Face directories, one of each kind, their weights far from their first values.

Each comes with what is known of it by other ways than `models.pretrained`: its tower in memory, never loaded, whose
attention is `transformers`' own.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from models.artifact.specs import Pooling
from models.vision import Channels
from tests import trained_weights

IMAGE_MEAN: Channels = (0.48, 0.45, 0.4)
IMAGE_STD: Channels = (0.26, 0.25, 0.3)

_SIZES: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
_IMAGE: dict[str, Any] = {"image_size": 32, "patch_size": 8}
_VIT = {**_SIZES, **_IMAGE, "intermediate_size": 48}
_DINO = {**_SIZES, **_IMAGE, "mlp_ratio": 2}
_SWIN: dict[str, Any] = {"image_size": 64, "patch_size": 4, "embed_dim": 16, "window_size": 4}
_TEXT = {**_SIZES, "num_hidden_layers": 1, "intermediate_size": 32, "vocab_size": 50, "max_position_embeddings": 16}
_IDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
_TOWERS: dict[str, Any] = {"text_config": {**_TEXT, **_IDS}, "vision_config": _VIT}


@dataclass(frozen=True)
class Sample:
    """`type` is a `transformers` class, built of its config class and `config`.

    `tower` finds the part that makes rows; `vector` is what its makers would call the embedding, from the whole model
    and the tower's answer.
    """

    type: str
    config: dict[str, Any]
    pooling: Pooling
    prefix: int
    grid: tuple[int, int]
    width: int
    vector: Callable[[Any, Any], Tensor]
    tower: Callable[[Any], Any] = lambda model: model


def _cls(_model: Any, out: Any) -> Tensor:
    row: Tensor = out.last_hidden_state[:, 0]
    return row


def _mean(_model: Any, out: Any) -> Tensor:
    row: Tensor = out.last_hidden_state.mean(dim=1)
    return row


def _pooled(_model: Any, out: Any) -> Tensor:
    row: Tensor = out.pooler_output
    return row


def _projected(model: Any, out: Any) -> Tensor:
    row: Tensor = model.visual_projection(out.pooler_output)
    return row


def _vision(model: Any) -> Any:
    return model.vision_model


_SQUARE = (4, 4)

SAMPLES = {
    "vit": Sample("ViTForImageClassification", _VIT, "cls", 1, _SQUARE, 32, _cls, lambda model: model.vit),
    "vit-oblong": Sample("ViTModel", {**_VIT, "image_size": (32, 48)}, "cls", 1, (4, 6), 32, _cls),
    "deit": Sample("DeiTModel", _VIT, "cls", 2, _SQUARE, 32, _cls),
    "vit_msn": Sample("ViTMSNModel", _VIT, "cls", 1, _SQUARE, 32, _cls),
    "ijepa": Sample("IJepaModel", _VIT, "mean", 0, _SQUARE, 32, _mean),
    "beit": Sample(
        "BeitForImageClassification",
        {**_VIT, "use_relative_position_bias": True, "use_mask_token": True},
        *("mean", 1, _SQUARE, 32, _pooled),
        tower=lambda model: model.beit,
    ),
    "beit-cls": Sample(
        "BeitModel",
        {
            **_VIT,
            "use_mean_pooling": False,
            "use_shared_relative_position_bias": True,
            "use_absolute_position_embeddings": True,
        },
        *("cls", 1, _SQUARE, 32, _cls),
    ),
    "dinov2": Sample("Dinov2Model", _DINO, "cls", 1, _SQUARE, 32, _cls),
    "dinov2-registers": Sample(
        "Dinov2WithRegistersModel",
        {**_DINO, "num_register_tokens": 3, "use_swiglu_ffn": True},
        *("cls", 4, _SQUARE, 32, _cls),
    ),
    "dinov3": Sample("DINOv3ViTModel", {**_VIT, "num_register_tokens": 2}, "cls", 3, _SQUARE, 32, _cls),
    "clip": Sample("CLIPModel", {**_TOWERS, "projection_dim": 24}, "cls", 1, _SQUARE, 24, _projected, _vision),
    "clip-vision": Sample(
        "CLIPVisionModelWithProjection", {**_VIT, "projection_dim": 24}, "cls", 1, _SQUARE, 24, _projected, _vision
    ),
    "clip-plain": Sample("CLIPVisionModel", _VIT, "cls", 1, _SQUARE, 32, _pooled),
    "siglip": Sample("SiglipModel", _TOWERS, "attention", 0, _SQUARE, 32, _pooled, _vision),
    "siglip-vision": Sample("SiglipVisionModel", _VIT, "attention", 0, _SQUARE, 32, _pooled),
    "swin": Sample(
        "SwinForImageClassification",
        {**_SWIN, "depths": (2, 2, 2), "num_heads": (2, 2, 4)},
        *("mean", 0, (4, 4), 64, _pooled),
        tower=lambda model: model.swin,
    ),
    "swin-oblong": Sample(
        "SwinModel",
        {**_SWIN, "image_size": (32, 64), "depths": (2, 2), "num_heads": (2, 4)},
        *("mean", 0, (4, 8), 32, _pooled),
    ),
}


def write_checkpoint(
    name: str, directory: Path, *, like_trained: bool = True, head: str | None = None, seed: int = 0
) -> Any:
    """Write the sample and its `preprocessor_config.json`; the model, in memory and with eager attention.

    Its weights behave as trained ones (`tests.trained_weights`), unless not `like_trained`: where float32 is compared
    with float32. `head` names another class, with a head.
    """
    sample = SAMPLES[name]
    torch.manual_seed(seed)
    kind = getattr(transformers, head or sample.type)
    model = kind(kind.config_class(**sample.config)).eval()
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            # Scales are about 1, all else about 0, and nothing is as it was made.
            scale = parameter.ndim == 1 and not path.endswith("bias")
            parameter.normal_(mean=float(scale), std=2.0 if path.endswith("probe") else 0.2)
    if like_trained:
        trained_weights.imitate_trained(model)
    model.save_pretrained(directory)
    size = sample.config.get("image_size", 32)
    rows, columns = size if isinstance(size, tuple) else (size, size)
    preprocessor = {
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "size": {"height": rows, "width": columns},
        "rescale_factor": 1 / 255,
        "image_processor_type": "ViTImageProcessor",
        "resample": 3,
        "image_mean": IMAGE_MEAN,
        "image_std": IMAGE_STD,
    }
    (directory / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    model.set_attn_implementation("eager")
    return model


def random_images(count: int, height_px: int, width_px: int) -> Tensor:
    """[b, y, x, 3] uint8 noise."""
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, height_px, width_px, 3), dtype=torch.uint8, generator=generator)


def normalize(pixels: Tensor) -> Tensor:
    """What `transformers`' preprocessor makes of images that have their size: `[b, 3, y, x]`."""
    images = (pixels.double() / 255 - torch.tensor(IMAGE_MEAN).double()) / torch.tensor(IMAGE_STD).double()
    return images.permute(0, 3, 1, 2)
