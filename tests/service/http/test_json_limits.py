"""Tests of JSON limits: too deep or too wide a body is detected from its bytes, at little cost."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import limits
from service.errors import InvalidJson
from service.http import body, body_limits

STRINGS = st.text(st.sampled_from('a"\\[{]},:\n\u2028'), max_size=8)
VALUES = st.recursive(
    st.none() | st.integers() | STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=30,
)
MAX_BODY_BYTES = 16 * 2**20


def containers(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + sum(map(containers, inner))


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def commas(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else max(len(value) - 1, 0) + sum(map(commas, inner))


def is_rejected(content: bytes, most: int = limits.MAX_JSON_CONTAINERS) -> bool:
    try:
        body_limits.check_json_limits(content, most)
    except InvalidJson:
        return True
    return False


@given(VALUES, st.integers(0, 4), st.integers(0, 8), st.integers(0, 12), st.booleans())
def test_json_limits_match_reference(value: Any, deepest: int, most: int, widest: int, ascii: bool) -> None:
    content = json.dumps(value, ensure_ascii=ascii).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "MAX_JSON_DEPTH", deepest)
        patch.setattr(limits, "MAX_JSON_VALUES", widest)
        most = max(most, deepest)  # fewer containers than may stand in each other are not looked at
        wanted = depth(value) > deepest or commas(value) > widest or containers(value) > most
        assert is_rejected(content, most) == wanted


def test_max_values_are_accepted() -> None:
    assert len(body.parse_json(b"[" + b"0," * limits.MAX_JSON_VALUES + b"0]")) == limits.MAX_JSON_VALUES + 1  # type: ignore[arg-type]
    with pytest.raises(InvalidJson, match="1048576 values"):
        body.parse_json(b"[" + b"0," * limits.MAX_JSON_VALUES + b"0,0]")
    assert body.parse_json(b'["' + b"0," * limits.MAX_JSON_VALUES + b'0,0"]')


@pytest.mark.parametrize(
    "content",
    [
        b'["' + b"[" * 200 + rb"\n" * (MAX_BODY_BYTES // 2 - 200) + b'"]',
        b'["' + b"[" * 200 + rb"\\" * (MAX_BODY_BYTES // 2 - 200) + b'"]',
        b"[" * 150 + b'"a"' * (MAX_BODY_BYTES // 3 - 100),
        b"[" * 50 + b"]" * (MAX_BODY_BYTES - 100) + b"[" * 60,
    ],
    ids=["escapes", "backslashes", "pieces", "closed"],
)
def test_json_limits_memory_is_bounded(content: bytes) -> None:
    tracemalloc.start()
    try:
        is_rejected(content)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 * MAX_BODY_BYTES
