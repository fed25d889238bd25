"""What an answer may come to, over all the models that make it."""

import pytest

from service.engine.attention import AttentionQuery
from service.engine.plan import VectorPlan
from service.errors import AttentionTooLarge
from service.http.sizes import Sizes
from service.settings import Settings
from tests.service.engine.requests import ids
from tests.service.test_plan import manifest


def test_what_several_models_give_is_bounded_together() -> None:
    sizes = Sizes(Settings(max_attention_bytes=1_000), parts=2)
    plan = AttentionQuery(query="all").plan(manifest(1))
    sizes.check_attention(0, plan, ids(11), texts=True)  # of 10 positions beside the prefix: 400 bytes
    sizes.check_attention(0, plan, ids(11, 11), texts=True)
    sizes.check_attention(1, plan, ids(6), texts=False)
    with pytest.raises(AttentionTooLarge, match="1200 bytes or more, at most 1000"):
        sizes.check_attention(1, plan, ids(11), texts=False)


def test_so_are_vectors_by_themselves() -> None:
    sizes = Sizes(Settings(max_attention_bytes=1_000), parts=2)
    for part in range(2):
        sizes.check_vectors(part, VectorPlan(width=10), ids(12))
    with pytest.raises(AttentionTooLarge, match="1040 bytes"):
        sizes.check_vectors(1, VectorPlan(width=10), ids(14))
