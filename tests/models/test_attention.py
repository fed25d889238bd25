"""The primitive: its two spellings are one function."""

import pytest
import torch

from models.attention import attend, attention_weights


def example(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(2, 3, n, 8, generator=generator).to(dtype) for n in (5, 7, 7))


@pytest.mark.parametrize("scale", [None, 0.5])
def test_fused_and_observable_agree(scale: float | None) -> None:
    q, k, v = example()
    bias = torch.randn(2, 1, 5, 7)
    fused, nothing = attend(q, k, v, bias=bias, scale=scale)
    seen, weights = attend(q, k, v, bias=bias, scale=scale, need_weights=True)
    assert nothing is None
    assert weights is not None
    torch.testing.assert_close(fused, seen, atol=1e-6, rtol=0)
    torch.testing.assert_close(weights @ v, seen)


def test_weights_are_the_definition() -> None:
    q, k, _ = example(torch.float64)
    exponent = torch.exp(torch.einsum("bhsd,bhkd->bhsk", q, k) / 8**0.5)
    torch.testing.assert_close(attention_weights(q, k), exponent / exponent.sum(-1, keepdim=True))


def test_a_biased_away_key_gets_no_weight() -> None:
    q, k, _ = example()
    bias = torch.zeros(7)
    bias[3] = float("-inf")
    weights = attention_weights(q, k, bias=bias)
    assert (weights[..., 3] == 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 5))


def test_softmax_runs_in_float32_and_answers_in_the_input_type() -> None:
    q, k, _ = example(torch.float16)
    weights = attention_weights(q, k)
    assert weights.dtype == torch.float16
    exact = attention_weights(q.float(), k.float())
    torch.testing.assert_close(weights.float(), exact, atol=2e-3, rtol=0)
