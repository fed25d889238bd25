"""Attention options of a request, checked against a model."""

from dataclasses import dataclass
from typing import Literal

from models.artifact.manifest import AttentionSpec, Manifest
from models.artifact.tensors import Combination, Reduction
from service.engine.plan import AttentionPlan
from service.errors import InvalidParameter


@dataclass(frozen=True, slots=True)
class AttentionOptions:
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
            raise InvalidParameter("layers and heads require reduce=raw", param)
        if self.words and manifest.text is None:
            raise InvalidParameter("units=words requires a text model", "attention.units")
        for name, chosen in (("layers", self.layers), ("heads", self.heads)):
            if isinstance(chosen, tuple) and len(set(chosen)) < len(chosen):
                raise InvalidParameter(f"{name} must not contain duplicates", f"attention.{name}")
        layers = self._layers(manifest.attention)
        return AttentionPlan(
            reduce=self.reduce,
            query=self.query,
            layers=layers,
            heads=self._heads(layers, manifest.attention) if self.reduce == "raw" else (),
            prefix=manifest.num_prefix_tokens,
            max_heads=max(manifest.attention.heads),
            top_k=self.top_k,
            words=self.words,
        )

    def _layers(self, attention: AttentionSpec) -> tuple[int, ...]:
        for layer in self.layers or ():
            if not 0 <= layer < attention.num_layers:
                raise InvalidParameter(
                    f"layer {layer} is out of range: layers are 0 to {attention.num_layers - 1}", "attention.layers"
                )
        return tuple(range(attention.num_layers)) if self.layers is None else self.layers

    def _heads(self, layers: tuple[int, ...], attention: AttentionSpec) -> tuple[int, ...] | Combination:
        """Return the heads to take of each of `layers`; all of them must have those heads."""
        if isinstance(self.heads, str):
            return self.heads
        counts = [attention.heads[layer] for layer in layers]
        if self.heads is None and len(set(counts)) > 1:
            head_counts = ", ".join(map(str, counts))
            raise InvalidParameter(
                f"these layers have {head_counts} heads; choose layers with equal counts, or heads that all have",
                "attention.layers",
            )
        for head in self.heads or ():
            if not 0 <= head < min(counts):
                raise InvalidParameter(
                    f"head {head} is out of range: 0 to {min(counts) - 1} in the chosen layers", "attention.heads"
                )
        return tuple(range(counts[0])) if self.heads is None else self.heads
