"""Reductions of attention against their formulas, written plainly in float64."""

from typing import get_args

import numpy as np
import pytest
import torch

from models.contract.tensors import Reduction
from models.pooling import pool
from models.relevance import relevance


def random_weights(layers: int = 3, n: int = 6) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 4, n, n, generator=generator).mul(2).softmax(-1) for _ in range(layers)]


def test_rollout_is_the_product_of_half_residual_steps() -> None:
    weights = random_weights()
    expected = np.eye(6)
    for layer in weights:
        expected = (0.5 * layer[1].double().numpy().mean(0) + 0.5 * np.eye(6)) @ expected
    np.testing.assert_allclose(relevance(weights, "rollout")[1].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("reduction", get_args(Reduction))
def test_every_row_sums_to_one(reduction: Reduction) -> None:
    rows = relevance(random_weights(), reduction).sum(-1)
    torch.testing.assert_close(rows, torch.ones_like(rows))


def test_last_mean_and_max() -> None:
    weights = random_weights()
    stacked = torch.stack(weights).double()  # [l, b, h, s, s]
    largest = stacked.amax(dim=(0, 2))
    torch.testing.assert_close(relevance(weights, "last").double(), stacked[-1].mean(1), atol=1e-6, rtol=0)
    torch.testing.assert_close(relevance(weights, "mean").double(), stacked.mean((0, 2)), atol=1e-6, rtol=0)
    torch.testing.assert_close(
        relevance(weights, "max").double(), largest / largest.sum(-1, keepdim=True), atol=1e-6, rtol=0
    )


def test_pooling_reads_real_rows_only() -> None:
    rows = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [99.0, 99.0]]])
    real = torch.tensor([[True, True, False]])
    assert pool(rows, real, "mean").tolist() == [[2.0, 3.0]]
    assert pool(rows, real, "cls").tolist() == [[1.0, 2.0]]
