"""Limits on the size of attention and token embeddings in a response, and on the memory to compute them."""

from collections.abc import Sequence

from models.preprocess.model_input import ModelInput
from service.engine.plan import AttentionPlan, TokenEmbeddingPlan
from service.errors import AttentionTooLarge
from service.settings import Settings


class AttentionSizeLimits:
    """Of one request, whose inputs several models may answer: what they add up to is bounded. Each part may tell from
    a thread of its own, and again when more of its items are known.
    """

    def __init__(self, settings: Settings, num_sub_requests: int) -> None:
        self._max_bytes = settings.max_attention_bytes
        self._max_workspace_bytes = settings.attention_workspace_bytes
        self._attention_bytes = [0] * num_sub_requests
        self._token_embedding_bytes = [0] * num_sub_requests

    def check_attention(self, index: int, plan: AttentionPlan, items: Sequence[ModelInput], *, texts: bool) -> None:
        """Raise AttentionTooLarge if the attention exceeds a limit."""
        self._attention_bytes[index] = _response_bytes(plan, items)
        hint = "reduce=rollout returns one weight per token or patch"
        self._check_limit(sum(self._attention_bytes), "attention", hint, "attention")
        self._check_workspace(plan, max(item.num_tokens for item in items), texts)

    def check_token_embeddings(self, index: int, plan: TokenEmbeddingPlan, items: Sequence[ModelInput]) -> None:
        """Raise AttentionTooLarge if the token embeddings exceed the limit."""
        self._token_embedding_bytes[index] = _response_bytes(plan, items)
        self._check_limit(sum(self._token_embedding_bytes), "token embeddings", "send fewer or shorter inputs")

    def _check_limit(self, size: int, what: str, hint: str, param: str | None = None) -> None:
        if size > self._max_bytes:
            message = f"requested {what}: at least {size} bytes, limit {self._max_bytes}; {hint}"
            raise AttentionTooLarge(message, param)

    def _check_workspace(self, plan: AttentionPlan, n: int, texts: bool) -> None:
        """One item need not hold gigabytes to answer with a few numbers; batches are bounded by themselves."""
        size, max_bytes = plan.workspace_bytes(n), self._max_workspace_bytes
        if size > max_bytes:
            message = f"computing attention over {n} positions takes {size} bytes, limit {max_bytes}"
            shorter_hint = f"send at most {plan.max_positions(n, max_bytes)} tokens, or " if texts else ""
            raise AttentionTooLarge(
                f"{message}; {shorter_hint}call /v1/embeddings with reduce=raw with fewer layers and heads", "attention"
            )


def _response_bytes(plan: AttentionPlan | TokenEmbeddingPlan, items: Sequence[ModelInput]) -> int:
    return sum(plan.response_bytes(item.num_tokens) for item in items)
