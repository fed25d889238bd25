"""Which attention a request asks for, held against what a model has."""

from dataclasses import dataclass
from typing import Literal

from models.contract.manifest import AttentionSpec, Manifest
from models.contract.tensors import Combination, Reduction
from service.engine.plan import AttentionPlan
from service.errors import InvalidParameter


@dataclass(frozen=True, slots=True)
class AttentionQuery:
    """`query` says whose attention: the pooled item's, everyone's, or that of one token, cell or (raw) position.

    `layers` and `heads` (None for all) choose among raw weights only, and so does a combination of all heads. `words`
    puts a text's tokens together; of each row the `top_k` largest are kept, or all.
    """

    reduce: Reduction | Literal["raw"] = "rollout"
    query: Literal["pool", "all"] | int = "pool"
    layers: tuple[int, ...] | None = None
    heads: tuple[int, ...] | Combination | None = None
    top_k: int | None = None
    words: bool = False

    def plan(self, manifest: Manifest) -> AttentionPlan:
        """How to answer this from that model. Raises InvalidParameter for what the model does not have."""
        if manifest.attention is None:
            raise InvalidParameter("this model has no attention", "attention")
        if self.reduce != "raw" and (self.layers, self.heads) != (None, None):
            param = "attention.heads" if self.layers is None else "attention.layers"
            raise InvalidParameter("layers and heads can be chosen with reduce=raw only", param)
        if self.words and manifest.text is None:
            raise InvalidParameter("units=words is of texts; this model takes images", "attention.units")
        for name, chosen in (("layers", self.layers), ("heads", self.heads)):
            if isinstance(chosen, tuple) and len(set(chosen)) < len(chosen):
                raise InvalidParameter(f"{name} are taken once each", f"attention.{name}")
        layers = self._layers(manifest.attention)
        return AttentionPlan(
            reduce=self.reduce,
            query=self.query,
            layers=layers,
            heads=self._heads(layers, manifest.attention) if self.reduce == "raw" else (),
            prefix=manifest.prefix,
            widest=max(manifest.attention.heads),
            top_k=self.top_k,
            words=self.words,
        )

    def _layers(self, attention: AttentionSpec) -> tuple[int, ...]:
        for layer in self.layers or ():
            if not 0 <= layer < attention.layers:
                raise InvalidParameter(
                    f"layers are 0 to {attention.layers - 1} in this model, not {layer}", "attention.layers"
                )
        return tuple(range(attention.layers)) if self.layers is None else self.layers

    def _heads(self, layers: tuple[int, ...], attention: AttentionSpec) -> tuple[int, ...] | Combination:
        """The heads to take of each of `layers`: there is one answer only if all of them have those."""
        if isinstance(self.heads, str):
            return self.heads
        counts = [attention.heads[layer] for layer in layers]
        if self.heads is None and len(set(counts)) > 1:
            told = ", ".join(map(str, counts))
            raise InvalidParameter(
                f"these layers have {told} heads; choose layers with equally many, or heads that all of them have",
                "attention.layers",
            )
        for head in self.heads or ():
            if not 0 <= head < min(counts):
                raise InvalidParameter(
                    f"heads are 0 to {min(counts) - 1} in the chosen layers, not {head}", "attention.heads"
                )
        return tuple(range(counts[0])) if self.heads is None else self.heads
