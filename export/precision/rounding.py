"""What calibration decides: how the difficulty of rounding is shared, and which way each weight is rounded.

Smoothing is that of Xiao et al., *SmoothQuant* (2023): a channel of x that is far larger than the others would take
the whole range of its row, so it is divided by s and its row of the weights multiplied. Weights are then rounded one
input channel after another, each channel's error made good by those not yet rounded, as in Frantar et al., *GPTQ*
(2023): nothing is trained, and only second moments of x are needed.

Letters: t rows of x that calibration saw, k inputs of a layer, n outputs.
"""

import numpy as np
import numpy.typing as npt
import torch

from models.contract.arrays import Floats

Bytes = npt.NDArray[np.int8]
Doubles = npt.NDArray[np.float64]
"""A matrix whose rounding errors matter."""

WEIGHT_LIMIT = 64
"""Largest weight in magnitude. Without VNNI a processor adds two products of unsigned and signed bytes in 16 bits,
and 2 * 255 * 64 is the most that fits: any more, and answers would be clipped on some processors and not on others."""

ACTIVATION_LIMIT = 255

_BALANCE = 0.5
"""SmoothQuant's alpha: half of a channel's difficulty stays with x."""

_DAMPING = 0.01
"""Share of the mean second moment added to all, as GPTQ's authors do: channels that calibration hardly moved."""

_BLOCK = 64
"""Channels whose errors are collected before the rest of the weights hears of them; speed only."""

_MARGIN = 1.05
"""Room for what is louder than all that calibration saw."""

_TINY = 1e-5


def smoothing(x: Floats, weights: Floats) -> Floats:
    """Divisors of the channels of x `[t, k]`, `weights` `[k, n]` of all its layers side by side -> `[k]`."""
    loud = np.maximum(np.abs(x).max(axis=0), _TINY)
    heavy = np.maximum(np.abs(weights).max(axis=1), _TINY)
    divisors = loud**_BALANCE / heavy ** (1 - _BALANCE)
    return np.asarray(divisors / np.exp(np.log(divisors).mean()), np.float32)


def zero_point(x: Floats) -> int:
    """Where among 0 to 255 zero lies for a typical row of x `[t, k]`: low after a GELU, in the middle elsewhere."""
    below, above = -x.min(axis=1).clip(max=0), x.max(axis=1).clip(min=0)
    share = float(np.median(below / np.maximum(below + above, _TINY)))
    return min(max(round(ACTIVATION_LIMIT * share), 1), ACTIVATION_LIMIT - 1)


def whole_range(x: Floats) -> tuple[int, np.float32]:
    """Zero point and scale by which all of x `[t, k]`, and somewhat louder inputs, lie between 0 and 255."""
    below, above = max(-float(x.min()), _TINY) * _MARGIN, max(float(x.max()), _TINY) * _MARGIN
    step = (below + above) / (ACTIVATION_LIMIT - 1)  # one is lost to the rounding of the zero point
    return round(below / step), np.float32(step)


def rounded(weights: Floats, spread: Doubles) -> tuple[Bytes, Floats]:
    """Whole numbers `[k, n]` and scales `[n]` whose product stands for `weights`; `spread` is that of their inputs."""
    rest = weights.astype(np.float64)
    scales = np.abs(rest).max(axis=0) / WEIGHT_LIMIT
    scales[scales == 0] = 1
    whole = np.zeros_like(rest)
    for start in range(0, len(rest), _BLOCK):
        block = slice(start, min(start + _BLOCK, len(rest)))
        errors = np.zeros_like(rest[block])
        for k in range(block.start, block.stop):
            whole[k] = np.clip(np.rint(rest[k] / scales), -WEIGHT_LIMIT, WEIGHT_LIMIT)
            error = (rest[k] - whole[k] * scales) / spread[k, k]
            rest[k : block.stop] -= np.outer(spread[k, k : block.stop], error)
            errors[k - block.start] = error
        rest[block.stop :] -= spread[block, block.stop :].T @ errors
    return whole.astype(np.int8), scales.astype(np.float32)


def spread(x: Floats) -> Doubles:
    """x `[t, k]` -> `[k, k]`, upper: how an error in one channel is best made good by the later ones.

    It is U where U^T U is the inverse of the second moments. Theirs is R R^T with R upper, so that U is the inverse of
    R: a triangular system costs a quarter of inverting the moments and factoring that.
    """
    rows = torch.from_numpy(x)
    moments = (rows.T @ rows).double() / len(rows)
    moments.diagonal().add_(_DAMPING * moments.diagonal().mean() + _TINY**2)
    upper = torch.linalg.cholesky(moments.flip(0, 1)).flip(0, 1)
    identity = torch.eye(len(upper), dtype=torch.float64)
    found: Doubles = torch.linalg.solve_triangular(upper, identity, upper=True).numpy()
    return found
