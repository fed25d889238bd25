"""Defaults of transformers' known image processors (transformers 5.23).

Names are without their endings: ViTImageProcessor, ViTImageProcessorFast, ViTImageProcessorPil and the
ViTFeatureExtractor of old files are all ViT.
"""

from collections.abc import Mapping
from typing import Any, Final

_CLIP_MEAN, _CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
_IMAGENET_MEAN, _IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
_BILINEAR, _BICUBIC = 2, 3

_BASE: Final = {
    "do_resize": True,
    "default_to_square": True,
    "do_center_crop": False,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "do_pad": False,
    "do_convert_rgb": False,
}
_224: Final = {"height": 224, "width": 224}
_CLIP: Final = {
    "size": {"shortest_edge": 224},
    "default_to_square": False,
    "do_center_crop": True,
    "crop_size": _224,
    "resample": _BICUBIC,
    "image_mean": _CLIP_MEAN,
    "image_std": _CLIP_STD,
    "do_convert_rgb": True,
}

PROCESSOR_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ViT": _BASE | {"size": _224, "resample": _BILINEAR},
    "DeiT": _BASE
    | {"size": {"height": 256, "width": 256}, "do_center_crop": True, "crop_size": _224, "resample": _BICUBIC},
    "CLIP": _BASE | _CLIP,
    "Siglip": _BASE | {"size": _224, "default_to_square": False, "resample": _BICUBIC, "do_convert_rgb": True},
    "Beit": _BASE | {"size": _224, "crop_size": _224, "resample": _BICUBIC},
    "Bit": _BASE | _CLIP,
    "DINOv3ViT": _BASE
    | {"size": _224, "resample": _BILINEAR, "image_mean": _IMAGENET_MEAN, "image_std": _IMAGENET_STD},
}

PROCESSOR_BY_MODEL_TYPE: Final[Mapping[str, str]] = {
    "vit": "ViT",
    "swin": "ViT",
    "deit": "DeiT",
    "beit": "Beit",
    "clip": "CLIP",
    "siglip": "Siglip",
    "dinov2": "Bit",
    "dinov3_vit": "DINOv3ViT",
}
"""Processor class by the `model_type` of config.json, for files too old to name one."""
