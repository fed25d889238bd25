"""How large an answer with attention, or with vectors of positions, may be, and what it may take to compute."""

from collections.abc import Sequence

from models.preprocess.prepared import Prepared
from service.engine.plan import AttentionPlan, VectorPlan
from service.errors import AttentionTooLarge
from service.settings import Settings


class Sizes:
    """Of one request, whose inputs several models may answer: what they add up to is bounded. Each part may tell from
    a thread of its own, and again when more of its items are known.
    """

    def __init__(self, settings: Settings, parts: int) -> None:
        self._most = settings.max_attention_bytes
        self._most_computed = settings.attention_workspace_bytes
        self._attention = [0] * parts
        self._vectors = [0] * parts

    def check_attention(self, part: int, plan: AttentionPlan, items: Sequence[Prepared], *, texts: bool) -> None:
        """Raises AttentionTooLarge."""
        self._attention[part] = _answered(plan, items)
        cheaper = "reduce=rollout is one weight per token or cell"
        self._refuse_past_most(sum(self._attention), "attention", cheaper, "attention")
        self._check_computed(plan, max(item.positions for item in items), texts)

    def check_vectors(self, part: int, plan: VectorPlan, items: Sequence[Prepared]) -> None:
        """Raises AttentionTooLarge."""
        self._vectors[part] = _answered(plan, items)
        self._refuse_past_most(sum(self._vectors), "vectors of all tokens", "send fewer or shorter inputs")

    def _refuse_past_most(self, size: int, what: str, cheaper: str, param: str | None = None) -> None:
        if size > self._most:
            told = f"the {what} asked for: {size} bytes or more, at most {self._most} are given; {cheaper}"
            raise AttentionTooLarge(told, param)

    def _check_computed(self, plan: AttentionPlan, n: int, texts: bool) -> None:
        """One item need not hold gigabytes to answer with a few numbers; batches are bounded by themselves."""
        size, most = plan.workspace_bytes(n), self._most_computed
        if size > most:
            told = f"the attention of {n} positions takes {size} bytes to compute, at most {most} are held"
            shorter = f"send at most {plan.longest(n, most)} tokens, or " if texts else ""
            raise AttentionTooLarge(
                f"{told}; {shorter}ask /v1/embeddings for reduce=raw with fewer layers and heads", "attention"
            )


def _answered(plan: AttentionPlan | VectorPlan, items: Sequence[Prepared]) -> int:
    return sum(plan.answer_bytes(item.positions) for item in items)
