"""Tests of the attention primitive over shapes, heads, masks and types, and of its two implementations."""

import math
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from models.attention import AttentionRecorder, attend, attention_weights

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 3e-2}


@st.composite
def problems(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """q, k, v of any shape and type, and a bias or none; some keys of some rows are biased to -inf, even all."""
    b, h, s, k, d = (draw(st.integers(1, most)) for most in (3, 3, 6, 6, 8))
    dtype = draw(st.sampled_from(list(TOLERANCE)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    q, keys, v = (torch.randn(b, h, n, d, generator=generator, dtype=torch.float64) for n in (s, k, k))
    bias = None
    if draw(st.booleans()):
        shape = (draw(st.sampled_from([1, b])), draw(st.sampled_from([1, h])), s, k)
        bias = torch.randn(shape, generator=generator, dtype=torch.float64)
        bias = bias.masked_fill(torch.rand(shape, generator=generator) < draw(st.sampled_from([0, 0.5, 1])), -math.inf)
        bias = bias.to(dtype)
    return q.to(dtype), keys.to(dtype), v.to(dtype), bias


@given(problems())
def test_rows_are_distributions_or_nothing(problem: tuple[Tensor, Tensor, Tensor, Tensor | None]) -> None:
    q, k, _, bias = problem
    weights = attention_weights(q, k, bias=bias)
    assert weights.dtype == q.dtype
    assert (weights >= 0).all()
    scores_left = torch.ones_like(weights) if bias is None else torch.isfinite(bias).expand_as(weights)
    expected = scores_left.any(dim=-1).to(weights.dtype)
    torch.testing.assert_close(weights.sum(-1), expected, atol=TOLERANCE[q.dtype], rtol=0)
    assert (weights[~scores_left.bool()] == 0).all()


@given(problems(), st.sampled_from([None, 0.5]))
def test_fused_and_observable_agree(problem: tuple[Tensor, Tensor, Tensor, Tensor | None], scale: float | None) -> None:
    q, k, v, bias = problem
    fused, nothing = attend(q, k, v, bias=bias, scale=scale)
    seen, weights = attend(q, k, v, bias=bias, scale=scale, need_weights=True)
    assert nothing is None
    assert weights is not None
    torch.testing.assert_close(fused, seen, atol=TOLERANCE[q.dtype], rtol=TOLERANCE[q.dtype])


@given(problems(), st.randoms())
def test_permutations(problem: tuple[Tensor, Tensor, Tensor, Tensor | None], random: Random) -> None:
    """Permuting queries permutes rows; permuting keys with their values changes nothing."""
    q, k, v, bias = problem
    rows, columns = (torch.tensor(random.sample(range(n), n)) for n in (q.shape[2], k.shape[2]))
    out, _ = attend(q, k, v, bias=bias, need_weights=True)
    moved = None if bias is None else bias[:, :, rows][..., columns]
    again, _ = attend(q[:, :, rows], k[:, :, columns], v[:, :, columns], bias=moved, need_weights=True)
    torch.testing.assert_close(again, out[:, :, rows], atol=TOLERANCE[q.dtype], rtol=TOLERANCE[q.dtype])


def test_weights_are_the_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(2, 3, n, 8, generator=generator, dtype=torch.float64) for n in (5, 7))
    exponent = torch.exp(torch.einsum("bhsd,bhkd->bhsk", q, k) / 8**0.5)
    torch.testing.assert_close(attention_weights(q, k), exponent / exponent.sum(-1, keepdim=True))


def test_large_vectors_stay_in_range_in_float16() -> None:
    q, k, v = (40 * torch.ones(1, 1, 3, 64).half() for _ in range(3))
    out, weights = attend(q, k, v, need_weights=True)
    assert weights is not None
    assert weights.isfinite().all()
    torch.testing.assert_close(out, attend(q, k, v)[0])


def test_fully_masked_row_is_zero_and_its_gradient_finite() -> None:
    q, k, v = (torch.randn(1, 1, 3, 4, requires_grad=True) for _ in range(3))
    bias = torch.zeros(3, 3)
    bias[1] = -math.inf
    out, _ = attend(q, k, v, bias=bias, need_weights=True)
    assert (out[0, 0, 1] == 0).all()
    out.sum().backward()  # type: ignore[no-untyped-call]
    for part in (q, k, v):
        assert part.grad is not None
        assert part.grad.isfinite().all()


def test_softmax_runs_in_float32_and_answers_in_the_input_type() -> None:
    q, k = (torch.randn(2, 3, n, 8, generator=torch.Generator().manual_seed(n)).half() for n in (5, 7))
    weights = attention_weights(q, k)
    assert weights.dtype == torch.float16
    torch.testing.assert_close(weights.float(), attention_weights(q.float(), k.float()), atol=2e-3, rtol=0)


@pytest.mark.parametrize("watching", [False, True])
def test_observer_keeps_weights_only_when_it_watches(watching: bool) -> None:
    q = torch.randn(1, 2, 3, 4)
    recorder = AttentionRecorder(watching)
    recorder.attend(q, q, q)
    assert len(recorder.weights) == watching
