"""Tests of the embedding cache."""

import numpy as np
import pytest

from service.engine.completion import ENTRY_BYTES, OutputCache


def test_cache_is_bounded_and_drops_the_least_used() -> None:
    cost = 4 * 8 + ENTRY_BYTES
    cache = OutputCache(3 * cost)
    vectors = {name: np.full(8, i, dtype=np.float32) for i, name in enumerate("abcd")}
    for name in "abc":
        cache.put(("m", name.encode()), vectors[name])
    assert cache.get(("m", b"a")) is vectors["a"]
    cache.put(("m", b"d"), vectors["d"])
    assert cache.get(("m", b"b")) is None
    assert cache.get(("m", b"a")) is vectors["a"]
    assert cache.get(("other", b"a")) is None


@pytest.mark.parametrize("max_bytes", [0, ENTRY_BYTES])
def test_cache_does_not_keep_oversized_values(max_bytes: int) -> None:
    cache = OutputCache(max_bytes)
    cache.put(("m", b"a"), np.zeros(8, dtype=np.float32))
    assert cache.get(("m", b"a")) is None
