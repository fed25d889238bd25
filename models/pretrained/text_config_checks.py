"""Config entries of text encoders that `transformers` reads in a way that cannot be packed, or ignores."""

from collections.abc import Iterator
from typing import Any

from models.pretrained.errors import PretrainedError

_DECODERS = ("qwen3", "gemma3_text")
_GEMMA_ENTRY = "use_bidirectional_attention"


def is_bidirectional(config: Any) -> bool:
    """Return True if the config of a text encoder lets tokens attend to those after them."""
    if config.model_type not in _DECODERS:
        return True
    return bool(getattr(config, _GEMMA_ENTRY, False)) or not getattr(config, "is_causal", True)


def check_config(config: Any, path: object) -> None:
    """Raise PretrainedError for an entry of a text tower's config, read from `path`, that cannot be exported."""
    for problem in (*_decoder_problems(config), *_deberta_problems(config)):
        raise PretrainedError(f"{path} has {problem}")


def _decoder_problems(config: Any) -> Iterator[str]:
    if config.model_type not in _DECODERS:
        return
    if getattr(config, "attn_logit_softcapping", None) is not None:
        yield "attn_logit_softcapping, which transformers leaves out; remove the entry if it was trained so"
    if config.model_type != "gemma3_text" and getattr(config, _GEMMA_ENTRY, False):
        yield f"{_GEMMA_ENTRY}, which transformers leaves out for {config.model_type}; say is_causal false instead"
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


def _deberta_problems(config: Any) -> Iterator[str]:
    unknown = set(getattr(config, "pos_att_type", None) or ()) - {"c2p", "p2c"}
    if unknown:
        yield f"pos_att_type {sorted(unknown)}, which transformers leaves out; known: c2p, p2c"
