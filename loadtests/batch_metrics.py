"""Batch sizes from the server's metrics: their change over a run."""

import re
import urllib.error
import urllib.request
from collections.abc import Mapping

METRIC = "headlight_batch_size_bucket"
_LINE = re.compile(rf'^{METRIC}{{(?=[^}}]*le="(?P<edge>[^"]+)")[^}}]*}} (?P<count>\S+)$', re.MULTILINE)
SCRAPE_TIMEOUT_S = 2.0

BucketCounts = dict[float, float]
"""Number of batches by the upper bound of their items: cumulative, as in Prometheus."""


def scrape(host: str) -> BucketCounts:
    """Return the counts over all models. Empty if the server has no such metric."""
    try:
        with urllib.request.urlopen(f"{host}/metrics", timeout=SCRAPE_TIMEOUT_S) as response:  # noqa: S310  # the run's host
            return parse_buckets(response.read().decode("utf-8", "replace"))
    except (urllib.error.URLError, OSError, ValueError):
        return {}


def parse_buckets(text: str) -> BucketCounts:
    """Parse the buckets from Prometheus's text format."""
    counts: BucketCounts = {}
    for match in _LINE.finditer(text):
        edge = float(match["edge"].replace("+Inf", "inf"))
        counts[edge] = counts.get(edge, 0.0) + float(match["count"])
    return counts


def batch_size_counts(before: Mapping[float, float], after: Mapping[float, float]) -> dict[str, int]:
    """Return the number of batches by their size, such as "3-4"; only sizes that occurred."""
    counts, previous_edge, counted = {}, 0.0, 0.0
    for edge in sorted(after):
        total = after[edge] - before.get(edge, 0.0)
        if total > counted:
            counts[_bucket_label(previous_edge, edge)] = round(total - counted)
        previous_edge, counted = edge, total
    return counts


def _bucket_label(previous_edge: float, edge: float) -> str:
    if edge == float("inf"):
        return f"over {previous_edge:g}"
    return f"{edge:g}" if edge - previous_edge <= 1 else f"{previous_edge + 1:g}-{edge:g}"
