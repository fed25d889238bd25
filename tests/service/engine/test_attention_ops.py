"""Tests of word aggregation and top k."""

import numpy as np
import pytest

from models.artifact.arrays import Floats
from service.engine.plan import mean_from_words, sum_to_words, top_k, word_row

STARTS = np.array([0, 1, 4, 5])
"""Of seven tokens: one, three, one, two."""


def distributions(*shape: int) -> Floats:
    rows = np.random.default_rng(0).random(shape, np.float32)
    found: Floats = rows / rows.sum(axis=-1, keepdims=True)
    return found


def test_to_a_word_goes_what_its_tokens_are_given() -> None:
    rows = distributions(2, 7)
    found = sum_to_words(rows, STARTS)
    np.testing.assert_allclose(found[1], [rows[1, a:b].sum() for a, b in ((0, 1), (1, 4), (4, 5), (5, 7))], rtol=1e-6)
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-6)


def test_word_row_is_the_mean_of_its_tokens_rows() -> None:
    matrices = distributions(2, 3, 7, 7)
    found = mean_from_words(sum_to_words(matrices, STARTS), STARTS)
    assert found.shape == (2, 3, 4, 4)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[1, 2, 3, 1], matrices[1, 2, 5:, 1:4].sum(axis=-1).mean(), rtol=1e-6)
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-6)
    for word in range(4):
        np.testing.assert_allclose(
            word_row(sum_to_words(matrices, STARTS), STARTS, word), found[..., word, :], rtol=1e-6
        )


@pytest.mark.parametrize("k", [1, 3, 7, 8])
def test_largest_of_each_row_largest_first(k: int) -> None:
    rows = distributions(4, 7)
    found = top_k(rows, k)
    assert found.indices is not None
    order = np.argsort(-rows, axis=-1)[:, :k]
    np.testing.assert_array_equal(found.indices, order)
    np.testing.assert_array_equal(found.values, np.take_along_axis(rows, order, axis=-1))


def test_equal_weights_come_in_their_order() -> None:
    found = top_k(np.full((1, 5), 0.2, np.float32), 5)
    assert found.indices is not None
    assert found.indices.tolist() == [[0, 1, 2, 3, 4]]
