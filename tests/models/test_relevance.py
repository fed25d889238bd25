"""Tests of reductions of attention against their formulas in float64."""

from typing import get_args

import numpy as np
import pytest
import torch

from models.artifact.tensors import Reduction
from models.pooling import pool, pooling_weights
from models.relevance import reduce_attention


def random_weights(layers: int = 3, n: int = 6) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 4, n, n, generator=generator).mul(2).softmax(-1) for _ in range(layers)]


EVENLY = torch.full((1, 6), 1 / 6)


def test_rollout_is_the_product_of_half_residual_steps() -> None:
    weights = random_weights()
    expected = np.eye(6)
    for layer in weights:
        expected = (0.5 * layer[1].double().numpy().mean(0) + 0.5 * np.eye(6)) @ expected
    np.testing.assert_allclose(reduce_attention(weights, EVENLY, 0)["rollout"].matrix[1].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("prefix", [0, 2])
@pytest.mark.parametrize("reduction", get_args(Reduction))
def test_every_row_sums_to_one_and_pooling_mixes_the_rows(reduction: Reduction, prefix: int) -> None:
    mixture = torch.rand(2, 6, generator=torch.Generator().manual_seed(1)).softmax(-1)
    weights = random_weights()
    seen, whole = (
        reduce_attention(weights, mixture, prefix)[reduction],
        reduce_attention(weights, mixture, 0)[reduction],
    )
    for rows in (seen.matrix, seen.pooled):
        torch.testing.assert_close(rows.sum(-1), torch.ones(rows.shape[:-1]))
    mixed = torch.einsum("bi,bij->bj", mixture, whole.matrix)[:, prefix:]
    torch.testing.assert_close(seen.pooled, mixed / mixed.sum(-1, keepdim=True))


def test_last_mean_and_max() -> None:
    weights = random_weights()
    stacked = torch.stack(weights).double()  # [l, b, h, s, s]
    largest = stacked.amax(dim=(0, 2))
    seen = reduce_attention(weights, EVENLY, 0)
    for reduction, wanted in (
        ("last", stacked[-1].mean(1)),
        ("mean", stacked.mean((0, 2))),
        ("max", largest / largest.sum(-1, keepdim=True)),
    ):
        torch.testing.assert_close(seen[reduction].matrix.double(), wanted, atol=1e-6, rtol=0)  # type: ignore[index]


def test_reductions_of_no_layers_are_empty() -> None:
    assert reduce_attention([], EVENLY, 0) == {}


def test_shares_of_the_vector() -> None:
    real = torch.tensor([[True, True, False]])
    assert pooling_weights(real, "mean", torch.float32).tolist() == [[0.5, 0.5, 0.0]]
    assert pooling_weights(real, "cls", torch.float32).tolist() == [[1.0, 0.0, 0.0]]
    assert pooling_weights(real, "last", torch.float32).tolist() == [[0.0, 1.0, 0.0]]


def test_pooling_reads_real_rows_only() -> None:
    rows = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [99.0, 99.0]]])
    real = torch.tensor([[True, True, False]])
    assert pool(rows, real, "mean").tolist() == [[2.0, 3.0]]
    assert pool(rows, real, "cls").tolist() == [[1.0, 2.0]]
    assert pool(rows, real, "last").tolist() == [[3.0, 4.0]]
