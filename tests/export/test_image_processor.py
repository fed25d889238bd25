"""Tests of image preprocessing against the source's own processor; what cannot match is refused."""

import functools
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor

from export.errors import SourceError
from export.image_processor import ImageProcessor, read_image_processor
from models.preprocess.image import ImagePreprocessor
from tests.images import encode, noisy_image

Config = dict[str, Any]

CONFIGS: dict[str, Config] = {
    "clip": {"image_processor_type": "CLIPImageProcessor"},
    "clip-old": {"feature_extractor_type": "CLIPFeatureExtractor", "size": 224, "crop_size": 224, "resample": 3},
    "siglip": {"image_processor_type": "SiglipImageProcessor", "do_convert_rgb": None},
    "siglip2": {"image_processor_type": "SiglipImageProcessorFast", "resample": 2, "size": {"height": 96, "width": 80}},
    "vit": {"image_processor_type": "ViTImageProcessorPil"},
    "vit-old": {"size": 192, "model_type": "vit"},
    "swin": {"feature_extractor_type": "ViTFeatureExtractor", "resample": 3, "image_mean": 0.4, "do_pad": None},
    "deit": {"image_processor_type": "DeiTImageProcessor"},
    "beit": {"image_processor_type": "BeitImageProcessor", "do_reduce_labels": True, "do_normalize": False},
    "dinov2": {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 256}},
    "odd": {
        "image_processor_type": "CLIPImageProcessorFast",
        "size": {"shortest_edge": 81},
        "crop_size": [43, 80],
        "resample": 1,
        "do_rescale": False,
        "rescale_factor": 0.5,
        "image_std": [0.1, 2, 3e4],
        "do_convert_rgb": False,
    },
    "hamming": {"image_processor_type": "ViTImageProcessor", "size": [60, 31], "resample": 5, "rescale_factor": 0.1},
}


def see_through(mode: str) -> Image.Image:
    image = noisy_image(300, 200).convert(mode[:-1])
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def turned(format: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(noisy_image(300, 200), format, exif=exif)


LARGE = noisy_image(1208, 1000)
PALETTE = noisy_image(300, 200).quantize(64)
FILES = {
    **{f"jpeg-{kind}": encode(LARGE, "JPEG", subsampling=kind) for kind in ("4:4:4", "4:2:2", "4:2:0")},
    "jpeg-progressive": encode(noisy_image(640, 427), "JPEG", progressive=True, quality=60),
    "jpeg-odd": encode(noisy_image(1213, 997), "JPEG", quality=95),
    "jpeg-grey": encode(noisy_image(301, 500).convert("L"), "JPEG"),
    "jpeg-cmyk": encode(noisy_image(500, 301).convert("CMYK"), "JPEG"),
    "png": encode(noisy_image(640, 427)),
    "png-palette": encode(PALETTE),
    "png-palette-one-transparent": encode(PALETTE, transparency=3),
    "png-palette-see-through": encode(PALETTE, transparency=bytes(range(64))),
    "png-grey": encode(noisy_image(300, 200).convert("L")),
    "png-grey-one-transparent": encode(noisy_image(300, 200).convert("L"), transparency=70),
    "png-one-transparent": encode(PALETTE.convert("RGB"), transparency=PALETTE.convert("RGB").getpixel((9, 9))),
    "png-1-bit-one-transparent": encode(noisy_image(300, 200).convert("1"), transparency=1),
    "png-1-bit": encode(noisy_image(300, 200).convert("1")),
    "png-rgba": encode(see_through("RGBA")),
    "png-la": encode(see_through("LA")),
    "webp": encode(noisy_image(300, 451), "WEBP"),
    "webp-rgba": encode(see_through("RGBA"), "WEBP", lossless=True),
    **{f"{format}-turned-{n}": turned(format, n) for format in ("PNG", "JPEG") for n in range(1, 9)},
    "WEBP-turned-6": turned("WEBP", 6),
    **{
        f"png-{w}x{h}": encode(noisy_image(w, h))
        for w, h in ((1, 1), (1, 300), (300, 1), (700, 31), (31, 700), (225, 224))
    },
}


def write(directory: Path, config: Config) -> Path:
    """A directory as a source has it; `model_type` is config.json's."""
    rest = {key: value for key, value in config.items() if key != "model_type"}
    (directory / "preprocessor_config.json").write_text(json.dumps(rest))
    if "model_type" in config:
        (directory / "config.json").write_text(json.dumps({"model_type": config["model_type"]}))
    return directory


def ours(processor: ImageProcessor, file: bytes) -> np.ndarray:
    """`[y, x, 3]` in 0 to 255."""
    prepare = ImagePreprocessor(processor.image_spec(grid=(1, 1), num_prefix_tokens=1))
    return prepare(file).pixels.astype(float)


def before(processor: ImageProcessor, values: np.ndarray) -> np.ndarray:
    """The bytes, unrounded, of what a graph of `processor` would make into `values` `[3, y, x]`."""
    scaled: np.ndarray = np.moveaxis(np.asarray(values, dtype=float), 0, -1)
    return (scaled * processor.std + processor.mean) / processor.rescale_factor


@pytest.fixture
def theirs(tmp_path: Path) -> Callable[[bytes], np.ndarray]:
    """A file through transformers' own processor of the directory, from a path, as its pipelines take files."""

    @functools.cache
    def own() -> Any:
        return AutoImageProcessor.from_pretrained(tmp_path, backend="pil", local_files_only=True)

    def process(file: bytes) -> np.ndarray:
        (tmp_path / "picture").write_bytes(file)
        values: np.ndarray = own()(str(tmp_path / "picture"))["pixel_values"][0]
        return values

    return process


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")  # theirs
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_pixels_are_the_sources_own(config: Config, theirs: Callable[[bytes], np.ndarray], tmp_path: Path) -> None:
    processor = read_image_processor(write(tmp_path, config))
    for name, file in FILES.items():
        expected, got = before(processor, theirs(file)), ours(processor, file)
        assert got.shape == expected.shape, name
        assert np.abs(got - expected).max() < 0.5, f"{name}: within 1 would do, but the same Pillow gives the same"


def test_sixteen_bits_are_scaled_where_the_sources_own_are_clipped(
    theirs: Callable[[bytes], np.ndarray], tmp_path: Path
) -> None:
    """The one kind of file where ours is not transformers': theirs is white. Once it is not, be it again."""
    processor = read_image_processor(write(tmp_path, CONFIGS["clip"]))
    gray = np.asarray(noisy_image(300, 200).convert("L"))
    deep = encode(Image.fromarray(gray.astype(np.uint16) * 257))
    assert before(processor, theirs(deep)).min() > 254
    np.testing.assert_array_equal(ours(processor, deep), ours(processor, encode(Image.fromarray(gray))))


@pytest.mark.parametrize("name", ["jpeg-4:2:0", "png", "png-rgba", "png-1x300", "png-700x31", "png-31x700"])
def test_dinov3_scales_numbers_and_not_bytes(name: str, tmp_path: Path) -> None:
    """Its processor needs torchvision, so it is spelled out: numbers from 0 to 1, scaled and never rounded."""
    processor = read_image_processor(write(tmp_path, {"image_processor_type": "DINOv3ViTImageProcessorFast"}))
    pixels = np.asarray(Image.open(io.BytesIO(FILES[name])).convert("RGB"), dtype=np.float32)
    numbers = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    scaled = torch.nn.functional.interpolate(numbers, (224, 224), mode="bilinear", antialias=True)[0]
    assert np.abs(ours(processor, FILES[name]) - scaled.permute(1, 2, 0).numpy() * 255).max() <= 1
    assert (processor.mean, processor.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_nested_file_goes_first(tmp_path: Path) -> None:
    write(tmp_path, CONFIGS["vit"])
    (tmp_path / "processor_config.json").write_text(json.dumps({"processor_class": "CLIPProcessor"}))
    assert read_image_processor(tmp_path).interpolation == "bilinear"
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": CONFIGS["deit"]}))
    assert (read_image_processor(tmp_path).resize_px, read_image_processor(tmp_path).height_px) == ((256, 256), 224)


VIT = "ViTImageProcessor"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({}, "image_processor_type None cannot be exported; known: ViTImageProcessor, "),
        ({"model_type": "resnet"}, "image_processor_type None"),
        ({"image_processor_type": "ConvNextImageProcessor"}, "'ConvNextImageProcessor' cannot be exported"),
        ({"image_processor_type": {"a": 1}}, "cannot be exported"),
        ({"image_processor_type": "Siglip2ImageProcessorFast"}, "NaFlex"),
        ({"image_processor_type": VIT, "do_resize": False}, "do_resize is false"),
        ({"image_processor_type": VIT, "do_resize": None}, "do_resize is false"),
        ({"image_processor_type": VIT, "do_pad": True}, "do_pad"),
        ({"image_processor_type": "CLIPImageProcessor", "use_square_size": True}, "use_square_size"),
        ({"image_processor_type": "CLIPImageProcessor", "do_center_crop": False}, "size keeps proportions"),
        ({"image_processor_type": "SiglipImageProcessor", "size": 224}, "size keeps proportions"),
        ({"image_processor_type": "CLIPImageProcessor", "crop_size": 225}, "crop_size 225 x 225 is larger than size"),
        ({"image_processor_type": "DeiTImageProcessor", "size": {"height": 256, "width": 223}}, "is larger than size"),
        ({"image_processor_type": VIT, "do_center_crop": True}, "crop_size needs height and width"),
        ({"image_processor_type": "CLIPImageProcessor", "crop_size": {"shortest_edge": 9}}, "crop_size needs height"),
        ({"image_processor_type": "DINOv3ViTImageProcessor", "resample": 3}, "DINOv3 with bicubic"),
        ({"image_processor_type": VIT, "size": {"longest_edge": 224}}, "size is not in a known form"),
        ({"image_processor_type": VIT, "size": {"shortest_edge": 224, "longest_edge": 9}}, "size is not in a known"),
        ({"image_processor_type": VIT, "size": None}, "size is not in a known form"),
        ({"image_processor_type": VIT, "size": [1, 2, 3]}, "size is not in a known form"),
        ({"image_processor_type": VIT, "size": 0}, "size.0 Input should be greater than 0"),
        ({"image_processor_type": VIT, "size": {"height": 2, "width": -4}}, "size.1 Input should be greater than 0"),
        ({"image_processor_type": VIT, "size": 4097}, "size.0 Input should be less than or equal to 4096"),
        ({"image_processor_type": VIT, "size": True}, "size.0"),
        ({"image_processor_type": VIT, "resample": 6}, "resample"),
        ({"image_processor_type": VIT, "resample": "bicubic"}, "resample"),
        ({"image_processor_type": VIT, "do_rescale": "no"}, "do_rescale"),
        ({"image_processor_type": VIT, "rescale_factor": 0}, "rescale_factor"),
        ({"image_processor_type": VIT, "image_mean": [0.5, 0.5]}, "image_mean"),
        ({"image_processor_type": VIT, "image_mean": None}, "image_mean"),
        ({"image_processor_type": VIT, "image_mean": [0.5, 0.5, float("nan")]}, "image_mean"),
        ({"image_processor_type": VIT, "image_std": [0.5, 0, 0.5]}, "image_std.1 Input should be greater than 0"),
    ],
)
def test_processor_options_that_cannot_be_reproduced_are_refused(config: Config, reason: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as refusal:
        read_image_processor(write(tmp_path, config))
    message = str(refusal.value)
    assert reason in message
    assert message.startswith(f"{tmp_path / 'preprocessor_config.json'}: ")
    assert "\n" not in message


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{", b"\xff"])
def test_processor_file_without_entries_uses_defaults(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "preprocessor_config.json").write_bytes(content)
    with pytest.raises(SourceError, match=r"preprocessor_config\.json") as refusal:
        read_image_processor(tmp_path)
    assert "copy it from the original" in str(refusal.value)


def test_nested_processor_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": "CLIPImageProcessor"}))
    with pytest.raises(SourceError, match=r"processor_config\.json: image_processor is not an object"):
        read_image_processor(tmp_path)


@pytest.mark.parametrize("off", [False, None])
def test_disabled_cache_keeps_nothing(off: bool | None, tmp_path: Path) -> None:
    switches = {"do_rescale": off, "do_normalize": off, "do_center_crop": off}
    unused = {"rescale_factor": 0, "image_std": None, "crop_size": None}
    processor = read_image_processor(
        write(tmp_path, {"image_processor_type": "DeiTImageProcessor", **switches, **unused})
    )
    assert (processor.mean, processor.std, processor.rescale_factor) == ((0, 0, 0), (1, 1, 1), 1)
    assert (processor.height_px, processor.width_px) == processor.resize_px == (256, 256)
