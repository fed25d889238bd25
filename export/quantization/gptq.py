"""Calibration of weights: SmoothQuant's scales and GPTQ's rounding.

Smoothing is that of Xiao et al., *SmoothQuant* (2023): a channel of x that is far larger than the others would take
the whole range of its row, so it is divided by s and its row of the weights multiplied. Weights are then rounded one
input channel after another, each channel's error made good by those not yet rounded, as in Frantar et al., *GPTQ*
(2023): nothing is trained, and only second moments of x are needed.

Letters: t rows of x that calibration saw, k inputs of a layer, n outputs.
"""

import numpy as np
import numpy.typing as npt
import torch

from models.artifact.arrays import Floats

Int8Array = npt.NDArray[np.int8]
Float64Array = npt.NDArray[np.float64]
"""Matrix whose rounding errors matter."""

MAX_WEIGHT = 64
"""Largest weight in magnitude. Without VNNI a processor adds two products of unsigned and signed bytes in 16 bits, and
2 * 255 * 64 is the most that fits; with more, results would saturate on some processors and not on others."""

MAX_ACTIVATION = 255

_SMOOTHING_ALPHA = 0.5
"""SmoothQuant's alpha: half of a channel's difficulty stays with x."""

_DAMPING = 0.01
"""Fraction of the mean second moment added to all, as in GPTQ, for channels that are nearly constant in calibration."""

_BLOCK_SIZE = 64
"""Channels whose errors are collected before the remaining weights are updated; it affects speed only."""

_RANGE_MARGIN = 1.05
"""Margin for inputs larger than any in calibration."""

_EPSILON = 1e-5


def smoothquant_scales(x: Floats, weights: Floats) -> Floats:
    """Return the divisors `[k]` of the channels of x `[t, k]`; `weights` `[k, n]` are all its layers', side by side."""
    activation_max = np.maximum(np.abs(x).max(axis=0), _EPSILON)
    weight_max = np.maximum(np.abs(weights).max(axis=1), _EPSILON)
    divisors = activation_max**_SMOOTHING_ALPHA / weight_max ** (1 - _SMOOTHING_ALPHA)
    return np.asarray(divisors / np.exp(np.log(divisors).mean()), np.float32)


def zero_point(x: Floats) -> int:
    """Return the zero point, 0 to 255, for a typical row of x `[t, k]`: low after a GELU, in the middle elsewhere."""
    below, above = -x.min(axis=1).clip(max=0), x.max(axis=1).clip(min=0)
    negative_fraction = float(np.median(below / np.maximum(below + above, _EPSILON)))
    return min(max(round(MAX_ACTIVATION * negative_fraction), 1), MAX_ACTIVATION - 1)


def static_range(x: Floats) -> tuple[int, np.float32]:
    """Return the zero point and scale for which all of x `[t, k]`, and somewhat larger inputs, fit 0 to 255."""
    below, above = max(-float(x.min()), _EPSILON) * _RANGE_MARGIN, max(float(x.max()), _EPSILON) * _RANGE_MARGIN
    step = (below + above) / (MAX_ACTIVATION - 1)  # one is lost to the rounding of the zero point
    return round(below / step), np.float32(step)


def gptq_quantize(weights: Floats, hessian_inverse: Float64Array) -> tuple[Int8Array, Floats]:
    """Quantize `weights` to integers `[k, n]` and scales `[n]`; `hessian_inverse` is that of their inputs."""
    residual = weights.astype(np.float64)
    scales = np.abs(residual).max(axis=0) / MAX_WEIGHT
    scales[scales == 0] = 1
    quantized = np.zeros_like(residual)
    for start in range(0, len(residual), _BLOCK_SIZE):
        block = slice(start, min(start + _BLOCK_SIZE, len(residual)))
        errors = np.zeros_like(residual[block])
        for k in range(block.start, block.stop):
            quantized[k] = np.clip(np.rint(residual[k] / scales), -MAX_WEIGHT, MAX_WEIGHT)
            error = (residual[k] - quantized[k] * scales) / hessian_inverse[k, k]
            residual[k : block.stop] -= np.outer(hessian_inverse[k, k : block.stop], error)
            errors[k - block.start] = error
        residual[block.stop :] -= hessian_inverse[block, block.stop :].T @ errors
    return quantized.astype(np.int8), scales.astype(np.float32)


def hessian_inverse_cholesky(x: Floats) -> Float64Array:
    """Return `[k, k]`, upper, of x `[t, k]`: how later channels best compensate an error in one channel.

    It is U where U^T U is the inverse of the second moments. Theirs is R R^T with R upper, so that U is the inverse of
    R: a triangular system costs a quarter of inverting the moments and factoring that.
    """
    rows = torch.from_numpy(x)
    moments = (rows.T @ rows).double() / len(rows)
    moments.diagonal().add_(_DAMPING * moments.diagonal().mean() + _EPSILON**2)
    upper = torch.linalg.cholesky(moments.flip(0, 1)).flip(0, 1)
    identity = torch.eye(len(upper), dtype=torch.float64)
    inverse: Float64Array = torch.linalg.solve_triangular(upper, identity, upper=True).numpy()
    return inverse
