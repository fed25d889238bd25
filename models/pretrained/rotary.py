"""Rotary positions of a config: which can be exported, and which entries `transformers` ignores."""

from typing import Any

from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from models.pretrained.errors import PretrainedError

_PER_BATCH = {"dynamic", "longrope"}
"""Types whose frequencies depend on the longest text of a batch."""

_TYPES = ("default", *sorted(ROPE_INIT_FUNCTIONS.keys() - _PER_BATCH))


def rotations(config: Any) -> list[dict[str, Any]]:
    """Return the rotary settings: one, or one for each kind of layer."""
    found = getattr(config, "rope_parameters", None) or {}
    nested = [each for each in found.values() if isinstance(each, dict)]
    return nested or ([found] if found else [])


def check_rotations(path: object, config: Any) -> None:
    """Raise PretrainedError for rotary settings of the config read from `path` that cannot be exported."""
    for rotation in rotations(config):
        kind = rotation.get("rope_type", "default")
        if kind in _PER_BATCH:
            raise PretrainedError(
                f"{path} has rope_type {kind!r}, with which a vector depends on its batch; remove the entry and keep "
                "to the length before the scaling, or scale by yarn or linear"
            )
        if kind not in _TYPES:
            raise PretrainedError(
                f"{path} has rope_type {kind!r}, which cannot be exported; exported are {', '.join(_TYPES)}"
            )
        if rotation.get("type", kind) != kind or (kind == "default" and rotation.get("factor", 1) != 1):
            raise PretrainedError(
                f"{path} has a rope scaling {rotation} that transformers leaves out; call its type rope_type, or "
                "remove it"
            )
