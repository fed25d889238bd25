"""Tests of small multiples: every panel at its layer and head, on one scale."""

import numpy as np
import pytest

from service.visualization.colormap import BACKGROUND, COLORMAP, INK
from service.visualization.drawing import rasterize
from service.visualization.font import Font
from service.visualization.matrix import matrix
from service.visualization.page import MAX_PAGE_PIXELS, Page
from service.visualization.panel_grid import TooManyPanels, arrange_panels
from service.visualization.small_multiples import mosaic, resample


def draw(values: np.ndarray, shape: float = 1.0, width_px: int = 800) -> np.ndarray:
    layers = [f"layer {i}" for i in range(values.shape[0])]
    heads = [f"head {i}" for i in range(values.shape[1])]
    made = mosaic(values, row_names=layers, names=heads, aspect=shape, width_px=width_px, caption=["a model"])
    return np.asarray(rasterize(made))


@pytest.mark.parametrize("width_px", [400, 4096])
def test_largest_weight_is_the_maps_end_in_its_own_panel(width_px: int) -> None:
    values = np.full((3, 4, 5, 5), 0.01)
    values[1, 2, 3, 4] = 0.9
    pixels = draw(values, width_px=width_px)
    names = [f"{what} {i}" for what, n in (("layer", 3), ("head", 4)) for i in range(n)]
    page = Page(width_px)
    face = Font(max(10, round(page.font_px * 0.85)))
    panels = arrange_panels(page, names[:3], names[3:], 1.0, face)
    x, y = panels.corner(1, 2)
    side = panels.size_px[0] / 5
    at = (int(page.margin_px + y + 3.5 * side), int(x + 4.5 * side))
    np.testing.assert_array_equal(pixels[at], COLORMAP[-1])
    others = (pixels[: page.margin_px + panels.height_px] == COLORMAP[-1]).all(-1).sum()
    assert others <= (side + 1) ** 2


@pytest.mark.parametrize("shape", [(1, 1, 9, 9), (6, 1, 9, 9), (1, 12, 9, 9), (6, 12, 1, 40), (24, 16, 150, 150)])
@pytest.mark.parametrize("width_px", [400, 4096])
def test_panels_are_bounded_and_within_the_page(shape: tuple[int, ...], width_px: int) -> None:
    pixels = draw(np.random.default_rng(0).random(shape), width_px=width_px)
    assert pixels.shape[1] == width_px
    assert pixels.shape[0] * width_px < MAX_PAGE_PIXELS * 1.2
    assert (pixels[:, -3:] == np.array(BACKGROUND)).all()


def test_too_many_panels_are_refused() -> None:
    with pytest.raises(TooManyPanels):
        draw(np.ones((1_000, 12, 2, 2)))
    with pytest.raises(TooManyPanels):
        draw(np.ones((2, 100, 2, 2)), width_px=200)


def test_heatmap_keeps_peaks_between_px() -> None:
    values = np.zeros((1, 1000))
    values[0, 777] = 1.0
    small = resample(values, 10, 1)
    assert small.shape == (1, 10)
    assert small[0].tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 0, 0]
    np.testing.assert_array_equal(resample(np.array([[1.0, 2.0]]), 4, 1), [[1, 1, 2, 2]])


def test_rows_and_columns_of_a_matrix_have_their_names() -> None:
    """Draw only the third name: it must stand at the third row and at the third column."""
    values = np.eye(4)
    blank, named = (
        np.asarray(rasterize(matrix(values, ["", "", name, ""], width_px=400, caption=[""]))) for name in ("", "HHH")
    )
    assert blank.shape[1] == 400
    ends = np.argwhere((named == COLORMAP[-1]).all(-1))
    ends = ends[ends[:, 0] < named.shape[0] * 0.75]
    (top, left), (bottom, right) = ends.min(0), ends.max(0) + 1
    cell = (right - left) / 4
    inked = np.argwhere((named == np.array(INK)).all(-1))
    row_names = inked[(inked[:, 1] < left) & (inked[:, 0] >= top) & (inked[:, 0] < bottom)]
    column_names = inked[inked[:, 0] < top]
    assert len(row_names) > 5
    assert len(column_names) > 5
    assert top + 2 * cell <= row_names[:, 0].min() <= row_names[:, 0].max() < top + 3 * cell
    assert left + 2 * cell <= column_names[:, 1].min() <= column_names[:, 1].max() < left + 3 * cell


def test_matrix_too_large_for_names_is_drawn_without() -> None:
    made = matrix(np.eye(300), ["lamp"] * 300, width_px=400, caption=["a model"])
    assert made.width == 400
