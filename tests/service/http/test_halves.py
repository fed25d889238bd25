"""Weights as float16 are what numpy makes of them, bit by bit."""

import numpy as np
import pytest

from models.contract.arrays import Floats
from service.http.halves import halved

LARGEST = 65_519.0
EVERY = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
"""Every float16 that is no less than 0, and finite."""

MIDDLES = ((EVERY[:-1].astype(np.float64) + EVERY[1:]) / 2).astype(np.float32)
"""Half-way between two of them, which float32 has exactly."""


@pytest.mark.parametrize(
    "weights",
    [
        pytest.param(EVERY, id="what float16 has"),
        pytest.param(MIDDLES, id="ties"),
        pytest.param(np.nextafter(MIDDLES, np.float32(0)), id="just under a tie"),
        pytest.param(np.nextafter(MIDDLES, np.float32(LARGEST)), id="just over a tie"),
        pytest.param(np.nextafter(EVERY, np.float32(LARGEST)), id="just over what it has"),
        pytest.param(np.array([0.0, 1e-45, 1e-38, 2.0**-25, 2.0**-24, 1.0, LARGEST], np.float32), id="ends"),
    ],
)
def test_every_kind_of_value(weights: Floats) -> None:
    assert np.array_equal(halved(weights).view(np.uint16), weights.astype(np.float16).view(np.uint16))


def test_weights_of_any_size_and_shape() -> None:
    weights = np.exp(np.random.default_rng(0).normal(-8, 4, (3, 100, 1_001))).clip(0, 1).astype(np.float32)
    found = halved(weights)
    assert found.shape == weights.shape
    assert np.array_equal(found.view(np.uint16), weights.astype(np.float16).view(np.uint16))
