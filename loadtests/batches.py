"""How many items the server put in a batch, from its own metrics: their change over a run."""

import re
import urllib.error
import urllib.request
from collections.abc import Mapping

METRIC = "headlight_batch_items_bucket"
_LINE = re.compile(rf'^{METRIC}{{(?=[^}}]*le="(?P<edge>[^"]+)")[^}}]*}} (?P<count>\S+)$', re.MULTILINE)
WITHIN_S = 2.0

Buckets = dict[float, float]
"""Batches of at most so many items, by that number: cumulative, as Prometheus counts."""


def read(host: str) -> Buckets:
    """Of all models. Empty where there is no such metric: it is another server then."""
    try:
        with urllib.request.urlopen(f"{host}/metrics", timeout=WITHIN_S) as response:  # noqa: S310  # the run's host
            return parse(response.read().decode("utf-8", "replace"))
    except (urllib.error.URLError, OSError, ValueError):
        return {}


def parse(text: str) -> Buckets:
    """From Prometheus' text format."""
    found: Buckets = {}
    for match in _LINE.finditer(text):
        edge = float(match["edge"].replace("+Inf", "inf"))
        found[edge] = found.get(edge, 0.0) + float(match["count"])
    return found


def sizes(before: Mapping[float, float], after: Mapping[float, float]) -> dict[str, int]:
    """Batches by their number of items, such as "3-4"; only those that there were."""
    found, below, counted = {}, 0.0, 0.0
    for edge in sorted(after):
        total = after[edge] - before.get(edge, 0.0)
        if total > counted:
            found[_named(below, edge)] = round(total - counted)
        below, counted = edge, total
    return found


def _named(below: float, edge: float) -> str:
    if edge == float("inf"):
        return f"over {below:g}"
    return f"{edge:g}" if edge - below <= 1 else f"{below + 1:g}-{edge:g}"
