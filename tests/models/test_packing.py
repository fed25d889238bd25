"""Tests of packing: packing and unpacking loses nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.artifact.graph_inputs import INPUTS, pack


@given(st.lists(st.integers(1, 40), min_size=1, max_size=20), st.integers(0, 2))
def test_unpacked_rows_are_the_items_and_pack_inverts_unpack(lengths: list[int], offset: int) -> None:
    items = [np.arange(n) + 100 * i for i, n in enumerate(lengths)]
    feeds = pack(items, position_offset=offset)
    padded = feeds["input_ids"][feeds["unpack_index"]]
    for row, item in enumerate(items):
        assert padded[row, : len(item)].tolist() == item.tolist()
    assert padded.reshape(-1)[feeds["pack_index"]].tolist() == feeds["input_ids"].tolist()
    assert feeds["position_ids"].tolist() == [i + offset for n in lengths for i in range(n)]
    assert tuple(feeds) == INPUTS
    assert all(array.dtype == np.int64 for array in feeds.values())


@pytest.mark.parametrize("items", [[], [np.array([], dtype=np.int64)]])
def test_packing_refuses_empty_inputs(items: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        pack(items)
