"""Tests of image preprocessing: pixels or a typed error; grid cells are located in the caller's own image."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from pydantic import ValidationError

from models.artifact.specs import ImageSpec
from models.preprocess.errors import ImageDecodeError, InvalidImage, TooManyPixels, UnsupportedImageFormat
from models.preprocess.image import ImagePreprocessor
from tests.images import PNG_WITHOUT_PALETTE, encode, gradient_image, noisy_image, png_header, png_with_orientation

SPEC = ImageSpec(
    height_px=32,
    width_px=48,
    resize_px=(32, 48),
    interpolation="bilinear",
    transparency="white",
    grid=(2, 3),
    num_prefix_tokens=1,
)
prepare = ImagePreprocessor(SPEC)


def spec(rows_px: int, columns_px: int, scaled_px: int | tuple[int, int], interpolation: str = "bilinear") -> ImageSpec:
    """SPEC with other sizes."""
    sizes = {"height_px": rows_px, "width_px": columns_px, "resize_px": scaled_px, "interpolation": interpolation}
    return ImageSpec.model_validate({**SPEC.model_dump(), **sizes})


def pixels(image: Image.Image | np.ndarray) -> np.ndarray:
    return np.asarray(image, dtype=int)


@pytest.mark.parametrize(
    ("format", "options", "off"),
    [("PNG", {}, 0), ("WEBP", {"lossless": True}, 0), ("JPEG", {"quality": 95, "subsampling": 0}, 12)],
)
def test_three_formats_keep_their_pixels(format: str, options: dict[str, object], off: int) -> None:
    picture = prepare(encode(gradient_image(), format, **options))
    assert picture.pixels.shape == (32, 48, 3)
    assert picture.pixels.dtype == np.uint8
    assert (picture.num_tokens, picture.truncated) == (7, False)
    assert np.abs(picture.pixels - pixels(gradient_image())).max() <= off


@pytest.mark.parametrize(
    ("mode", "format"), [("L", "PNG"), ("1", "PNG"), ("P", "PNG"), ("L", "JPEG"), ("CMYK", "JPEG")]
)
def test_modes_become_what_a_viewer_shows(mode: str, format: str) -> None:
    source = gradient_image().convert(mode)
    options = {"quality": 95, "subsampling": 0} if format == "JPEG" else {}
    got = prepare(encode(source, format, **options)).pixels
    assert np.abs(got - pixels(source.convert("RGB"))).max() <= (12 if format == "JPEG" else 0)


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 32 * 48).reshape(32, 48).astype(np.uint16)
    got = prepare(encode(Image.fromarray(ramp))).pixels
    assert np.abs(got[..., 0] - ramp / 257).max() <= 0.51
    assert (got[..., 0] == got[..., 2]).all()


@pytest.mark.parametrize(("format", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True})])
def test_transparent_pixels_become_white(format: str, options: dict[str, object]) -> None:
    image = Image.new("RGBA", (48, 32), (255, 0, 0, 0))
    image.paste((0, 0, 255, 128), (0, 0, 24, 32))
    got = prepare(encode(image, format, **options)).pixels
    assert got[5, 40].tolist() == [255, 255, 255]
    assert got[5, 5].tolist() == pytest.approx([127, 127, 255], abs=1)


def test_transparent_color_of_a_palette_or_of_gray_is_white() -> None:
    palette = Image.new("P", (48, 32), 1)
    palette.putpalette([0, 0, 0, 200, 10, 10])
    palette.paste(0, (0, 0, 24, 32))
    for image in (palette, Image.new("L", (48, 32), 0)):
        assert prepare(encode(image, transparency=0)).pixels[5, 5].tolist() == [255, 255, 255]
    assert prepare(encode(palette, transparency=0)).pixels[5, 40].tolist() == [200, 10, 10]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_image_upright(orientation: int) -> None:
    data = png_with_orientation(gradient_image(), orientation)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    size = (expected.height, expected.width)
    picture = ImagePreprocessor(spec(*size, size))(data)
    assert (picture.width_px, picture.height_px) == expected.size
    np.testing.assert_array_equal(picture.pixels, pixels(expected))
    assert picture.patch_boxes_px(2, 3)[-1].tolist() == [expected.width * 2 / 3, expected.height / 2, *expected.size]


def test_orientation_that_is_none_leaves_the_image() -> None:
    for data in (png_with_orientation(gradient_image(), 99), encode(gradient_image(), exif=b"Exif\0\0no exif at all")):
        np.testing.assert_array_equal(prepare(data).pixels, pixels(gradient_image()))


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_animation_is_decoded_as_its_first_frame(format: str) -> None:
    frames = [Image.new("RGB", (48, 32), color) for color in ("red", "lime")]
    data = encode(frames[0], format, save_all=True, append_images=frames[1:], lossless=True)
    assert prepare(data).pixels[5, 5].tolist() == [255, 0, 0]


def test_burst_file_is_its_first_jpeg() -> None:
    frames = [Image.new("RGB", (48, 32), color) for color in ("red", "lime")]
    data = encode(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert prepare(data).pixels[5, 5].tolist() == pytest.approx([255, 0, 0], abs=2)


def test_stretch_shows_all_of_the_original() -> None:
    picture = prepare(encode(gradient_image(100, 10)))
    np.testing.assert_array_equal(
        picture.pixels, pixels(gradient_image(100, 10).resize((48, 32), Image.Resampling.BILINEAR))
    )
    boxes = picture.patch_boxes_px(2, 3)
    assert boxes.shape == (6, 4)
    np.testing.assert_allclose(boxes[[0, 2, 3]], [[0, 0, 100 / 3, 5], [200 / 3, 0, 100, 5], [0, 5, 100 / 3, 10]])


@pytest.mark.parametrize(("width", "height"), [(96, 24), (24, 96), (97, 41), (13, 50), (24, 24), (640, 7)])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
def test_middle_is_cut_out_of_the_scaled_original(width: int, height: int, interpolation: str) -> None:
    image = noisy_image(width, height)
    picture = ImagePreprocessor(spec(20, 24, 28, interpolation))(encode(image))
    scale = 28 / min(width, height)
    whole = image.resize((int(width * scale), int(height * scale)), Image.Resampling[interpolation.upper()])
    left, top = (whole.width - 24) // 2, (whole.height - 20) // 2
    np.testing.assert_array_equal(picture.pixels, pixels(whole.crop((left, top, left + 24, top + 20))))
    x, y = width / whole.width, height / whole.height
    assert picture.crop_box_px == pytest.approx((left * x, top * y, (left + 24) * x, (top + 20) * y))


def test_grid_lies_over_the_middle_alone() -> None:
    picture = ImagePreprocessor(spec(224, 224, (256, 256)))(encode(gradient_image(512, 128)))
    boxes = picture.patch_boxes_px(2, 2)
    np.testing.assert_allclose(boxes[[0, 3]], [[32, 8, 256, 64], [256, 64, 480, 120]])
    shown = pixels(gradient_image(512, 128).crop((32, 8, 480, 120)).resize((224, 224), Image.Resampling.BILINEAR))
    inside = np.s_[4:-4, 4:-4]  # at its edges the middle also sees what is beyond them
    assert np.abs(picture.pixels[inside] - shown[inside]).max() <= 2


def test_middle_is_never_larger_than_the_whole() -> None:
    for scaled_px in (23, (24, 23), (23, 24)):
        with pytest.raises(ValidationError, match="crop does not fit into"):
            spec(24, 24, scaled_px)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize(("width", "height"), [(1, 300), (300, 1), (1203, 5), (5, 1203), (2, 999)])
def test_sliver_is_enlarged_in_part(
    width: int, height: int, interpolation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sliver = ImagePreprocessor(spec(224, 224, 256, interpolation))
    part = sliver(encode(noisy_image(width, height)))
    monkeypatch.setattr("models.preprocess.image._MAX_UPSCALED_PIXELS", 10**9)
    whole = sliver(encode(noisy_image(width, height)))
    assert np.abs(pixels(part.pixels) - whole.pixels).max() <= 1
    assert part.crop_box_px == whole.crop_box_px


def test_extreme_proportions_are_never_scaled_whole() -> None:
    picture = ImagePreprocessor(spec(24, 24, 24))(encode(Image.new("L", (16_000_000, 1), 80)))
    assert picture.pixels.shape == (24, 24, 3), "the whole, 24 px high, would be 9 gigapixels"


def test_large_jpeg_is_decoded_at_full_size() -> None:
    """Decoding at a reduced scale would change the brightness of adjacent light and dark pixels."""
    text = Image.fromarray(np.random.default_rng(0).choice([0, 255], (1200, 1600)).astype(np.uint8))
    data = encode(text.convert("RGB"), "JPEG", quality=90)
    whole = Image.open(io.BytesIO(data)).resize((48, 32), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(prepare(data).pixels, pixels(whole))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_dropped_transparency_shows_what_lies_under_it(mode: str) -> None:
    under = gradient_image().convert(mode[0] if mode == "LA" else "P" if mode == "P" else "RGB")
    seen = under.convert("RGB")
    data = encode(under, transparency=bytes(range(256))) if mode == "P" else encode(_see_through(under))
    dropping = ImagePreprocessor(SPEC.model_copy(update={"transparency": "dropped"}))
    np.testing.assert_array_equal(dropping(data).pixels, pixels(seen))
    assert (prepare(data).pixels != pixels(seen)).any()


def _see_through(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def test_too_many_pixels_are_refused_by_the_header() -> None:
    assert ImagePreprocessor(SPEC, max_pixels=48 * 32)(encode(gradient_image())).width_px == 48
    with pytest.raises(TooManyPixels, match=r"1536 pixels \(maximum 1535\)"):
        ImagePreprocessor(SPEC, max_pixels=48 * 32 - 1)(encode(gradient_image()))
    for side in (5_001, 60_000, 2_000_000_000):  # the last past what Pillow itself lets be
        with pytest.raises(TooManyPixels):
            prepare(png_header(side, side))


@pytest.mark.parametrize("format", ["GIF", "BMP", "TIFF", "AVIF"])
def test_other_formats_are_named_as_such(format: str) -> None:
    with pytest.raises(UnsupportedImageFormat):
        prepare(encode(gradient_image(), format))


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"not an image", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", png_header(9, 9)]
)
def test_non_image_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        prepare(data)


@pytest.mark.parametrize("transparency", ["white", "dropped", "color_key"])
def test_indices_without_a_palette_are_no_image(transparency: str) -> None:
    with pytest.raises(InvalidImage):
        ImagePreprocessor(SPEC.model_copy(update={"transparency": transparency}))(PNG_WITHOUT_PALETTE)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_file_that_is_cut_off_is_no_image(format: str) -> None:
    data = encode(gradient_image(200, 200), format)
    for kept in (20, len(data) // 2, len(data) - 30):
        with pytest.raises(InvalidImage):
            prepare(data[:kept])


_GRADIENT = gradient_image()
FILES = [
    encode(_GRADIENT, "PNG"),
    encode(_GRADIENT.convert("P"), transparency=3),
    png_with_orientation(_GRADIENT, 6),
    encode(_GRADIENT, "JPEG", exif=png_with_orientation(_GRADIENT, 6)),
    encode(_GRADIENT, "JPEG", progressive=True),
    encode(_GRADIENT.convert("CMYK"), "JPEG"),
    encode(_GRADIENT, "WEBP"),
    encode(_GRADIENT.convert("RGBA"), "WEBP"),
    encode(_GRADIENT, "WEBP", save_all=True, append_images=[_GRADIENT]),
    encode(_GRADIENT, save_all=True, append_images=[Image.new("RGB", (48, 32))]),
]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow's, about what it can read around
@settings(max_examples=400, deadline=None)
@given(st.sampled_from(FILES), st.data())
def test_broken_files_give_a_image_or_a_typed_problem(file: bytes, draw: st.DataObject) -> None:
    data = bytearray(file)
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        picture = prepare(bytes(data[: draw.draw(st.integers(len(data) // 2, len(data)))]))
    except ImageDecodeError:
        return
    assert picture.pixels.shape == (32, 48, 3)
