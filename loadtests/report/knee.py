"""Knee of a curve of latency against rate."""

from collections.abc import Sequence

MIN_SAG = 0.15
"""Minimum depth of a knee below the chord, as a fraction of the unit square of the plot."""


def knee(rates: Sequence[float], latencies: Sequence[float]) -> float | None:
    """Return the rate at which the curve is farthest below the chord from its first to its last point, both axes scaled
    to 0 to 1; None for fewer than four points, and for a line. `rates` grow.

    Source: Satopää et al., "Finding a 'Kneedle' in a Haystack" (2011), section III, for a curve that is convex.
    """
    if len(rates) < 4 or rates[-1] <= rates[0]:
        return None
    low, high = min(latencies), max(latencies)
    if high <= low:
        return None
    sags = [
        (rate - rates[0]) / (rates[-1] - rates[0]) - (latency - low) / (high - low)
        for rate, latency in zip(rates, latencies, strict=True)
    ]
    deepest = max(range(len(sags)), key=sags.__getitem__)
    return rates[deepest] if sags[deepest] > MIN_SAG else None
