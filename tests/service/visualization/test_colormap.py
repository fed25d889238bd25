"""Tests of the colormap: uniform, monotonic in lightness, and with a readable ink for every color."""

import numpy as np

from service.visualization.color_norm import ColorNorm, format_value
from service.visualization.colormap import (
    BACKGROUND,
    COLORMAP,
    INK,
    LEVELS,
    MUTED,
    apply_colormap,
    color_at,
    contrast_ratio,
    contrasting_ink,
)
from tests.service.visualization.oklab import oklab_path, to_oklab, to_srgb

TRITANOPIA = np.array([[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]])
DEUTERANOPIA = np.array([[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]])
PROTANOPIA = np.array([[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]])
"""Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009), at
severity 1; on linear light."""


def test_published_example_of_oklab() -> None:
    """White and the three primaries, as Ottosson's reference implementation gives them."""
    expected = [[1.0, 0, 0], [0.62796, 0.22486, 0.12585], [0.86644, -0.23389, 0.17950], [0.45201, -0.03246, -0.31153]]
    srgb = np.array([[1.0, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(to_oklab(srgb), np.array(expected), atol=1e-4)
    np.testing.assert_allclose(to_srgb(to_oklab(srgb)), srgb, atol=1e-6)


def test_table_is_the_curve() -> None:
    np.testing.assert_array_equal(COLORMAP, (to_srgb(oklab_path()) * 255).round())


def test_srgb_has_every_color_of_it() -> None:
    srgb = to_srgb(oklab_path())
    assert srgb.min() >= 0
    assert srgb.max() <= 1


def test_equal_steps_are_equal_distances() -> None:
    steps = np.linalg.norm(np.diff(oklab_path(), axis=0), axis=1)
    assert steps.std() / steps.mean() < 0.01
    drawn = np.linalg.norm(np.diff(to_oklab(COLORMAP[::15] / 255), axis=0), axis=1)  # 8 bits are coarse
    assert drawn.max() / drawn.min() < 1.1


def test_colormap_lightness_increases() -> None:
    assert np.diff(oklab_path()[:, 0]).min() > 0.001
    assert np.diff(to_oklab(COLORMAP[::3] / 255)[:, 0]).min() > 0


def test_colormap_lightness_increases_for_the_color_blind() -> None:
    light = np.where(COLORMAP / 255 <= 0.04045, COLORMAP / 255 / 12.92, ((COLORMAP / 255 + 0.055) / 1.055) ** 2.4)
    for seen in (PROTANOPIA, DEUTERANOPIA, TRITANOPIA):
        lightness = to_oklab(_encoded((light @ seen.T).clip(0, 1)))[:, 0]
        assert np.diff(lightness[::15]).min() > 0.01


def test_colormap_colors_contrast_with_ink() -> None:
    for place in np.linspace(0, 1, LEVELS):
        ground = color_at(float(place))
        assert contrast_ratio(contrasting_ink(ground), ground) >= 4.5
    assert contrast_ratio(INK, BACKGROUND) > 7
    assert contrast_ratio(MUTED, BACKGROUND) >= 4.5
    assert round(contrast_ratio((0, 0, 0), (255, 255, 255)), 6) == 21


def test_values_stand_on_the_map_from_end_to_end() -> None:
    values = [2, 3, 7]
    assert ColorNorm.from_values(values).normalize(values).tolist() == [0, 0.2, 1]
    np.testing.assert_array_equal(
        apply_colormap(ColorNorm.from_values(values).normalize(values)), COLORMAP[[0, 51, 255]]
    )
    np.testing.assert_allclose(ColorNorm.sqrt_from_zero([0.25, 1]).normalize([0, 0.25, 1]), [0, 0.5, 1])
    assert ColorNorm.from_values([0.4, 0.4]).normalize([0.4]).tolist() == [1]
    assert ColorNorm.sqrt_from_zero([0.0]).normalize([0.0]).tolist() == [1]


def test_places_and_values_are_each_others_reverse() -> None:
    for scale in (ColorNorm(-1, 3), ColorNorm(0, 4, sqrt=True)):
        for place in (0, 0.3, 1):
            assert abs(float(scale.normalize(scale.inverse(place))) - place) < 1e-9


def test_numbers_are_short() -> None:
    assert [format_value(value) for value in (0, 0.118388, 1, 0.000002581)] == ["0", "0.118", "1", "2.58e-06"]


def _encoded(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
