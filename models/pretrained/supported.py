"""Config entries of text encoders that `transformers` reads in a way that cannot be packed, or does not read."""

from collections.abc import Iterator
from typing import Any

from models.pretrained.errors import PretrainedError

_PER_RUN = ("dynamic", "longrope")
"""Rotations whose frequencies depend on the longest text of a batch."""


def check(config: Any, path: object) -> None:
    """Raise PretrainedError for an entry of a text tower's config, read from `path`, that cannot be exported."""
    for problem in (*_rope(config), *_windows(config), *_disentangled(config)):
        raise PretrainedError(f"{path} has {problem}")
    if getattr(config, "attn_logit_softcapping", None) is not None:
        raise PretrainedError(f"{path} has attn_logit_softcapping, which transformers' own attention leaves out")


def _rope(config: Any) -> Iterator[str]:
    rope = getattr(config, "rope_parameters", None) or {}
    for part in (rope, *rope.values()):
        if not isinstance(part, dict) or "rope_type" not in part:
            continue
        kind = part["rope_type"]
        if kind in _PER_RUN:
            yield (
                f"rope_type {kind!r}, with which a vector depends on its batch; remove the entry and keep to the "
                "length before the scaling, or scale by yarn or linear"
            )
        if part.get("type", kind) != kind or (kind == "default" and part.get("factor", 1) != 1):
            yield f"a rope scaling {part} that transformers leaves out; call its type rope_type, or remove it"


def _windows(config: Any) -> Iterator[str]:
    kinds = set(getattr(config, "layer_types", None) or ())
    unknown = kinds - {"full_attention", "sliding_attention"}
    if unknown:
        yield f"layer_types {sorted(unknown)}; known: full_attention, sliding_attention"
    if "sliding_attention" not in kinds:
        return
    window = getattr(config, "sliding_window", None)
    if not isinstance(window, int) or window < 1:
        yield f"sliding_attention among layer_types, and sliding_window {window}"
    if not getattr(config, "is_causal", True):
        yield "is_causal false and sliding windows; only full attention can be made bidirectional by it"


def _disentangled(config: Any) -> Iterator[str]:
    unknown = set(getattr(config, "pos_att_type", None) or ()) - {"c2p", "p2c"}
    if unknown:
        yield f"pos_att_type {sorted(unknown)}, which transformers leaves out; known: c2p, p2c"
