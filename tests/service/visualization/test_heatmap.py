"""Tests of heat maps: cells at their boxes, the image below, and nothing outside the model's input."""

import numpy as np
import pytest
from PIL import Image

from service.visualization.color_norm import ColorNorm
from service.visualization.colorbar import colorbar
from service.visualization.colormap import COLORMAP, INK
from service.visualization.drawing import rasterize
from service.visualization.heatmap import OVERLAY_OPACITY, image_heatmap
from service.visualization.page import MAX_PAGE_PIXELS, Page
from tests.images import gradient_image


def boxes(rows: int, columns: int, region: tuple[float, float, float, float]) -> np.ndarray:
    x, y = np.linspace(region[0], region[2], columns + 1), np.linspace(region[1], region[3], rows + 1)
    return np.array([[x[j], y[i], x[j + 1], y[i + 1]] for i in range(rows) for j in range(columns)])


def draw(picture: Image.Image, values: object, of: np.ndarray, width_px: int = 400, **options: int) -> np.ndarray:
    made = image_heatmap(picture, np.array(values), of, width_px=width_px, caption=["a model"], **options)
    return np.asarray(rasterize(made)).astype(int)


GRAY = Image.new("RGB", (100, 100), (128, 128, 128))


@pytest.mark.parametrize("width_px", [200, 400, 4096])
def test_patch_has_its_color(width_px: int) -> None:
    pixels = draw(GRAY, [0.1, 0.2, 0.3, 0.4], boxes(2, 2, (0, 0, 100, 100)), width_px)
    page = Page(width_px)
    top, cell = page.margin_px, page.content_width_px / 2
    for i, place in enumerate((0, 85, 170, 255)):
        y, x = (int(top + (part + 0.5) * cell) for part in divmod(i, 2))
        expected = (1 - OVERLAY_OPACITY) * 128 + OVERLAY_OPACITY * COLORMAP[place].astype(float)
        np.testing.assert_allclose(pixels[y, x], expected, atol=1.5)


def test_patches_may_begin_within_a_px_and_leave_no_gap() -> None:
    pixels = draw(GRAY, np.ones(49), boxes(7, 7, (0, 0, 100, 100)))
    assert (pixels[8:392, 8:392] == pixels[200, 200]).all()


def test_pixels_outside_the_crop_are_gray() -> None:
    picture = Image.new("RGB", (300, 100), (200, 30, 30))
    pixels = draw(picture, [0.0, 1.0], boxes(1, 2, (100.5, 0, 199.5, 100)))
    middle = pixels[8 + 64]
    assert (middle[20] == middle[20][0]).all()
    assert (middle[380] == middle[20]).all()
    seen = np.flatnonzero(np.ptp(middle[8:392], axis=1) > 3)
    np.testing.assert_allclose([seen.min(), seen.max()], [384 * 100.5 / 300, 384 * 199.5 / 300], atol=1.5)


def test_image_is_still_there() -> None:
    pixels = draw(gradient_image(96, 96), np.ones(4), boxes(2, 2, (0, 0, 96, 96)))[8:392, 8:392]
    under = np.asarray(gradient_image(96, 96).convert("L").resize((384, 384))).astype(float)
    assert np.corrcoef(pixels.sum(-1).ravel(), under.ravel())[0, 1] > 0.8
    assert pixels.sum(-1).std() > 30


def test_marked_patch_is_outlined() -> None:
    pixels = draw(GRAY, [0.0, 1.0], boxes(1, 2, (0, 0, 100, 100)), marked=1)
    white = np.argwhere((pixels[:392] == 255).all(-1))
    assert white[:, 1].min() == 200


@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1), (3, 4), (5_000, 2_000)])
@pytest.mark.parametrize("width_px", [200, 4096])
def test_heatmap_of_any_shape_is_drawn_and_bounded(size: tuple[int, int], width_px: int) -> None:
    pixels = draw(Image.new("RGB", size, "red"), np.arange(49.0), boxes(7, 7, (0, 0, *size)), width_px)
    assert pixels.shape[1] == width_px
    assert pixels.shape[0] * pixels.shape[1] < MAX_PAGE_PIXELS * 1.2
    assert pixels.shape[0] < 4 * width_px


@pytest.mark.parametrize("width_px", [200, 400, 4096])
def test_legend_goes_from_end_to_end_between_its_numbers(width_px: int) -> None:
    page = Page(width_px)
    bar, note = (rasterize(part) for part in colorbar(page, ColorNorm(0.0123, 0.456), ["a model"]))
    row = np.asarray(bar)[1]
    ours = np.flatnonzero((row != row[0]).any(-1))
    np.testing.assert_array_equal(row[ours[0]], COLORMAP[0])
    np.testing.assert_array_equal(row[ours[-1]], COLORMAP[-1])
    written = np.flatnonzero((np.asarray(bar) == INK).all(-1).any(0))
    assert written.min() < ours[0]
    assert written.max() > ours[-1]
    assert bar.width == note.width == width_px
