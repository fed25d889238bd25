"""Entries of config.json that `transformers` leaves unread although they change what a model computes.

Its config classes take any entry and keep it, and its modeling code reads the entries that it knows. Releases drop
entries: `position_embedding_type` was read until 5.0. An entry counts as read when the config class declares it or the
source of its modules names it. An unread one is refused if its name speaks of the computation, unless it is switched
off, says what is done anyway, or is known to be harmless.
"""

import dataclasses
import importlib
import inspect
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from transformers import GenerationConfig
from transformers.activations import ACT2FN

from models.pretrained.errors import PretrainedError
from models.pretrained.rotary import check_rotations, rotations
from models.pretrained.text_config_checks import is_bidirectional

_COMPUTATION_WORDS = re.compile(
    r"(^|_)(pos|positions?|positional|rope|rotary|\w*bias(es)?|\w*norm|layernorm|act|activation|scale|scaling|scaled"
    r"|windows?|attentions?|attn|heads?|n?layers?|pool|pooling|masks?|masked|causal|embed|embeddings?|embd|blocks?"
    r"|residual|gate|gated|glu|geglu|swiglu|prefix|prompt|adapters?|lora|moe|experts?|interleaved|qkv|relative|alibi"
    r"|epsilon|eps|bidirectional)(_|\d|$)"
)
"""Words, as whole parts of an entry's name, for what a model computes."""

_HARMLESS_ENTRIES = re.compile(
    r"^_"  # the library's own notes
    r"|^(pooler|classifier|clf|summary|qa|seq_classif|initializer|auxiliary|finetuning)_"  # heads that are not exported
    r"|drop(out|_path|_rate)|pdrop|_drop$|loss|prob(ability)?$|freez|checkpoint"  # training
    r"|^fused_|flash|sdpa|xformers|memory_efficient|implementation|unpad|^pack_qkv$"  # how fast, not what
    r"|_token(s|_ids?|_index)?$|label|^output_|^return_|dtype|tokenizer"  # the tokenizer's, or a head's
    r"|^mask_token|^prompt_template|^max_window_layers$|^sbert_ce_default_activation_function$"
    r"|^cross_attention_hidden_size$|^sliding_window_pattern$"
)

_IMPLEMENTED_VALUES: Mapping[str, tuple[object, ...]] = {
    "scale_attn_weights": (True,),  # by the root of a head's width, as everywhere
    "layer_norm_type": ("layer_norm",),
    "normalization_type": ("layer_norm",),
    "down_scale_factor": (1,),  # ALBERT's, never read by any release
    "qkv_bias": (True,),  # BEiT's; weights that it lacked would be missed
    "path_norm": (True,),  # Swin's, never read by any release
    "norm_type": ("layer_norm", "layernorm"),
}
"""Values that describe what is implemented anyway. Other values of these entries are refused, including false."""

_ABSOLUTE, _ROTARY = ("absolute",), ("absolute", "rope", "rotary", "sans_pos")

_ALIASES: Mapping[str, tuple[str, ...]] = {
    "hidden_size": ("n_embd", "d_model", "dim", "embedding_dim", "embedding_size", "embed_dim"),
    "num_attention_heads": ("n_head", "n_heads", "num_heads", "num_key_value_heads", "n_kv_heads"),
    "num_hidden_layers": ("n_layer", "n_layers", "num_layers"),
    "hidden_act": ("activation_function", "activation", "hidden_activation", "hidden_act"),
    "layer_norm_eps": ("layer_norm_epsilon", "layernorm_epsilon", "norm_epsilon", "norm_eps", "layer_norm_eps"),
}
"""Other names of common entries, by the common name."""

_CANONICAL_NAME = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}
_POSITIONS = ("n_positions", "n_ctx", "max_trained_positions", "max_positions", "max_position_embeddings")
_HEAD_WIDTHS = ("head_dim", "attention_head_size", "kv_channels")
_ROTARY_BASES = ("rotary_emb_base", "rope_base", "rotary_base", "rope_theta")
_ROTARY_FRACTIONS = ("rotary_emb_fraction", "rotary_pct", "partial_rotary_factor")
_DIRECTIONS = ("bidirectional", "is_bidirectional", "use_bidirectional_attention")
_COMPARED = {*_CANONICAL_NAME, *_POSITIONS, *_HEAD_WIDTHS, *_ROTARY_BASES, *_ROTARY_FRACTIONS, *_DIRECTIONS}
"""Entries that repeat another entry: 0 and false are values there, not switches."""

_USUALLY_ON = re.compile(
    r"^((use|add|with|has)_)?(abs(olute)?_)?(pos|positions?|positional)(_emb(ed(ding)?s?)?|_encodings?)?$"
    r"|^use_(embedding_)?layer_?norm$"
)
"""Switches of what every model does: false would change its embeddings."""

_ACTIVATION_ALIASES = {"swiglu": "silu", "geglu": "gelu", "gelu_python": "gelu"}
"""Names of activations that older code used: with a gate, or for the exact GELU."""


def check_entries(path: Path, config: Any) -> None:
    """Raise PretrainedError for an entry of the config.json at `path` that would be dropped.

    `config` is what `transformers` made of it, or of the part for one tower of two.
    """
    check_rotations(path, config)
    _check_activation(path, config)
    for name, value in _raw_entries(path, config).items():
        if not _is_dropped(name, value, config):
            continue
        raise PretrainedError(
            f"{path} has {name}: {json.dumps(value)[:80]}, which transformers does not read for {config.model_type!r}, "
            "so its vectors would be others; remove the entry if the model was trained without it"
        )


def _check_activation(path: Path, config: Any) -> None:
    kind: Any = type(config)
    for name in _ALIASES["hidden_act"]:
        value = getattr(config, name, None)
        if name in _declared_entries(kind) and isinstance(value, str) and value not in ACT2FN:
            raise PretrainedError(
                f"{path} has {config.attribute_map.get(name, name)}: {json.dumps(value)}, an activation that "
                "transformers does not have; write the one that the model was trained with"
            )


def _raw_entries(path: Path, config: Any) -> dict[str, Any]:
    """Return the entries that `config` was made of; a tower's are in a section of their own, or of an older name."""
    whole: dict[str, Any] = json.loads(path.read_bytes())
    key = config.base_config_key
    if whole.get("model_type") == config.model_type or not key:
        return whole
    parts = (whole.get(name) for name in (key, f"{key}_dict"))
    return {name: value for part in parts if isinstance(part, dict) for name, value in part.items()}


def _is_dropped(name: str, value: object, config: Any) -> bool:
    kind: Any = type(config)
    if name in _declared_entries(kind) or _named_in_source(name, kind):
        return False
    if name in _IMPLEMENTED_VALUES:
        return value is not None and value not in _IMPLEMENTED_VALUES[name]
    if name == "position_embedding_type":
        allowed = _ROTARY if rotations(config) else _ABSOLUTE
        return value is not None and value not in allowed
    if not _COMPUTATION_WORDS.search(name) and name not in _CANONICAL_NAME and name not in _POSITIONS:
        return False
    return not (_is_off(name, value) or _HARMLESS_ENTRIES.search(name) or _is_alias_of_read_entry(name, value, config))


def _is_off(name: str, value: object) -> bool:
    if value in (None, "", "absolute", "none") or (isinstance(value, (list, dict)) and not value):
        return True
    return value in (False, 0) and name not in _COMPARED and not _USUALLY_ON.search(name)


def _is_alias_of_read_entry(name: str, value: object, config: Any) -> bool:
    """Whether the entry is another name of one that is read, with the same value."""
    if name in _POSITIONS:  # more positions than are served are harmless
        return isinstance(value, int) and value >= (getattr(config, "max_position_embeddings", None) or 0)
    if name in _HEAD_WIDTHS:
        return bool(value == config.hidden_size // config.num_attention_heads)
    if name in _ROTARY_BASES:
        return any(value == each.get("rope_theta") for each in rotations(config))
    if name in _ROTARY_FRACTIONS:
        return any(value == each.get("partial_rotary_factor", 1.0) for each in rotations(config))
    if name in _DIRECTIONS:
        return value == is_bidirectional(config)
    common = _CANONICAL_NAME.get(name)
    aliases = (common, *_ALIASES[common], "rms_norm_eps") if common else ()
    kind: Any = type(config)
    own = {getattr(config, each) for each in aliases if each != name and each in _declared_entries(kind)}
    return bool({value, _ACTIVATION_ALIASES.get(str(value))} & own) if isinstance(value, (str, int, float)) else False


@cache
def _declared_entries(kind: Any) -> frozenset[str]:
    """Entries that a config class has a field for, and those that every config may have."""
    fields = {field.name for field in dataclasses.fields(kind)}
    properties = {name for name, value in inspect.getmembers(kind) if isinstance(value, property)}
    names = {*kind.attribute_map, *kind.attribute_map.values()}
    rotary = {"rope_theta", "rope_scaling", "partial_rotary_factor"} if "rope_parameters" in fields else set()
    return frozenset(fields | properties | names | rotary | vars(GenerationConfig()).keys())


def _named_in_source(name: str, kind: Any) -> bool:
    configuration, modeling = _module_sources(kind)
    escaped = re.escape(name)
    read = rf"""config\.{escaped}\b|getattr\([^,()]*config, ["']{escaped}["']"""
    return bool(re.search(rf"""["']{escaped}["']""", configuration) or re.search(read, configuration + modeling))


@cache
def _module_sources(kind: Any) -> tuple[str, str]:
    """Return the source of a config class's module, and of the module of its models."""
    names = (kind.__module__, kind.__module__.replace(".configuration_", ".modeling_"))
    configuration, modeling = (inspect.getsource(importlib.import_module(name)) for name in names)
    return configuration, modeling
