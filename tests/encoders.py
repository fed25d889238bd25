"""Small encoders of every kind, with weights far from their initial values, so that attention is not uniform."""

from pathlib import Path
from typing import Any

import torch

from models.encoders import checkpoint, registry
from models.encoders.image import ImageEncoder
from models.encoders.registry import Encoder
from models.encoders.text import TextTransformer
from tests.checkpoints import WORDS, write_tokenizer

_IMAGE = {"image_px": 64, "embedding_width": 32}
_TEXT = {"kind": "text", "vocabulary_size": len(WORDS), "max_tokens": 40, "width": 32, "layers": 2, "heads": 4}

CONFIGS: dict[str, dict[str, Any]] = {
    "text": _TEXT,
    "text-relative": {**_TEXT, "position": "relative", "score": "cosine"},
    "text-set": {**_TEXT, "position": "none", "projection": "shared", "pooling": "cls"},
    "vit": {"kind": "vit", "width": 48, "layers": 2, **_IMAGE},
    "vit-relative": {"kind": "vit", "width": 48, "layers": 2, "position": "relative", "score": "cosine", **_IMAGE},
    "vit-bare": {"kind": "vit", "width": 48, "layers": 2, "position": "sinusoidal", "projection": "none", **_IMAGE},
    "alternet": {"kind": "alternet", "widths": (8, 16, 24, 32), "head_width": 8, "windows": (4, 4, 2, 2), **_IMAGE},
    "nonlocal": {"kind": "nonlocal", "width": 32, "layers": 2, **_IMAGE},
    "nonlocal-shared": {"kind": "nonlocal", "width": 32, "layers": 2, "projection": "shared", **_IMAGE},
    "nonlocal-none": {"kind": "nonlocal", "width": 32, "layers": 2, "projection": "none", **_IMAGE},
    "dynamic-conv": {"kind": "dynamic-conv", "width": 32, "layers": 2, **_IMAGE},
    "conv": {"kind": "conv", "width": 32, "layers": 2, **_IMAGE},
}

IMAGE_NAMES = [name for name, config in CONFIGS.items() if config["kind"] != "text"]
TEXT_NAMES = [name for name in CONFIGS if name not in IMAGE_NAMES]


def random_images(count: int, side_px: int = 64, seed: int = 0) -> torch.Tensor:
    """[b, y, x, 3] uint8 noise."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, side_px, side_px, 3), dtype=torch.uint8, generator=generator)


def build(name: str) -> Encoder:
    """The encoder of `CONFIGS[name]` in evaluation mode; batch norms have seen some images."""
    torch.manual_seed(0)
    encoder = registry.build(registry.from_dict(CONFIGS[name]))
    for parameter in encoder.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.3)
    if isinstance(encoder, ImageEncoder):
        with torch.no_grad():
            encoder.train()(random_images(8))
    return encoder.eval()


def build_image_encoder(name: str) -> ImageEncoder:
    encoder = build(name)
    assert isinstance(encoder, ImageEncoder)
    return encoder


def build_text_encoder(name: str) -> TextTransformer:
    encoder = build(name)
    assert isinstance(encoder, TextTransformer)
    return encoder


def write_checkpoint(name: str, directory: Path) -> Path:
    """The encoder as a checkpoint in `directory`, with a tokenizer where it takes text."""
    checkpoint.save(build(name), directory)
    if name in TEXT_NAMES:
        write_tokenizer(directory)
    return directory
