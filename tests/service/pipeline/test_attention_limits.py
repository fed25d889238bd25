"""Tests of the limit on a response's attention, over all models that compute it."""

import pytest

from service.engine.plan import AttentionOptions, TokenEmbeddingPlan
from service.errors import AttentionTooLarge
from service.pipeline.infer import AttentionSizeLimits
from service.settings import Settings
from tests.service.engine.requests import make_items
from tests.service.engine.test_plan import manifest


def test_attention_limit_is_summed_over_models() -> None:
    sizes = AttentionSizeLimits(Settings(max_attention_bytes=1_000), num_sub_requests=2)
    plan = AttentionOptions(query="all").plan(manifest(1))
    sizes.check_attention(0, plan, make_items(11), texts=True)  # 10 positions without the prefix: 400 bytes
    sizes.check_attention(0, plan, make_items(11, 11), texts=True)
    sizes.check_attention(1, plan, make_items(6), texts=False)
    with pytest.raises(AttentionTooLarge, match="1200 bytes, limit 1000"):
        sizes.check_attention(1, plan, make_items(11), texts=False)


def test_token_embedding_limit_is_summed_over_models() -> None:
    sizes = AttentionSizeLimits(Settings(max_attention_bytes=1_000), num_sub_requests=2)
    for part in range(2):
        sizes.check_token_embeddings(part, TokenEmbeddingPlan(width=10), make_items(12))
    with pytest.raises(AttentionTooLarge, match="1040 bytes"):
        sizes.check_token_embeddings(1, TokenEmbeddingPlan(width=10), make_items(14))
