"""Tests of float16 encoding: bit by bit what numpy returns."""

import numpy as np
import pytest

from models.artifact.arrays import Floats
from service.api.common.attention import to_float16

MAX_FLOAT16 = 65_519.0
ALL_FLOAT16 = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
"""Every float16 that is no less than 0, and finite."""

MIDPOINTS = ((ALL_FLOAT16[:-1].astype(np.float64) + ALL_FLOAT16[1:]) / 2).astype(np.float32)
"""Half-way between two of them, which float32 has exactly."""


@pytest.mark.parametrize(
    "weights",
    [
        pytest.param(ALL_FLOAT16, id="what float16 has"),
        pytest.param(MIDPOINTS, id="ties"),
        pytest.param(np.nextafter(MIDPOINTS, np.float32(0)), id="just under a tie"),
        pytest.param(np.nextafter(MIDPOINTS, np.float32(MAX_FLOAT16)), id="just over a tie"),
        pytest.param(np.nextafter(ALL_FLOAT16, np.float32(MAX_FLOAT16)), id="just over what it has"),
        pytest.param(np.array([0.0, 1e-45, 1e-38, 2.0**-25, 2.0**-24, 1.0, MAX_FLOAT16], np.float32), id="ends"),
    ],
)
def test_float16_rounding_of_every_value_kind(weights: Floats) -> None:
    assert np.array_equal(to_float16(weights).view(np.uint16), weights.astype(np.float16).view(np.uint16))


def test_float16_of_any_shape() -> None:
    weights = np.exp(np.random.default_rng(0).normal(-8, 4, (3, 100, 1_001))).clip(0, 1).astype(np.float32)
    found = to_float16(weights)
    assert found.shape == weights.shape
    assert np.array_equal(found.view(np.uint16), weights.astype(np.float16).view(np.uint16))
