"""Names of the weights in safetensors files, read independently of `transformers`, which ignores some.

Every tensor of a checkpoint is read by the model or is harmless to its vectors for a stated reason. Anything else
(LoRA, relative positions, prompts, extra norms, biases and gates) was trained and is missed, so it is refused.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import PreTrainedModel

from models.filenames import SHARDS_FILE, WEIGHTS_FILE
from models.pretrained.errors import PretrainedError

_FLOATS = ("F16", "BF16", "F32", "F64")
"""Types of plain weights in safetensors; any other is of a quantized model."""

_HARMLESS_NAMES = (
    r"(^|\.)(position_ids|token_type_ids)$",  # counters, not weights
    r"(^|\.)(original_)?inv_freq$",  # rotary frequencies, compared with the config's by `_check_frequencies`
    r"relative_position_index$",  # a table of indices that follows from the window
    r"(^|\.)num_batches_tracked$",  # a counter of training
    r"(^|\.)mask_token$",  # stands for hidden patches in pre-training
    r"^(cls|lm_head|mlm_head|predictions|mask_predictions|lm_predictions|generator_predictions|generator_lm_head"
    r"|discriminator_predictions|vocab_transform|vocab_layer_norm|vocab_projector|sop_classifier|nsp_classifier"
    r"|seq_relationship|decoder|head)(\.|$)",  # masked-LM and pre-training heads, behind the encoder
    r"^(classifier|pre_classifier|cls_classifier|distillation_classifier|score|qa_outputs|logits_proj"
    r"|sequence_summary|linear|decode_head|auxiliary_head|fpn[1-4])\.",  # task heads: export.task refuses most of them
    r"(^|\.)pooler\.",  # pre-training's pooling, where another is used
    r"^(logit_scale|logit_bias)$",  # the temperature of a pair of towers: no vector has it
)

_OTHER_TOWERS = {
    "text_config": ("vision_model", "visual_projection"),
    "vision_config": ("text_model", "text_projection"),
}
"""Top-level names of the tower that is not loaded, by where the config of the loaded one lies."""

_SUGGESTIONS = {
    r"lora_|\.ia3_|base_layer|adapter": "merge the adapter into its model (merge_and_unload) and save that",
    r"distance_embedding": "its relative positions are no longer computed by transformers",
    r"SCB$|absmax|quant|scale_inv|qzeros|scales$|g_idx": "export the model that was quantized",
    r"prompt|prefix": "prompts and prefixes that were tuned cannot be exported",
}


@dataclass(frozen=True)
class WeightEntry:
    """One tensor: its file, its type in safetensors' notation, and its shape."""

    path: Path
    dtype: str
    shape: tuple[int, ...]


def read_names(directory: Path) -> dict[str, WeightEntry]:
    """Read the tensors that `transformers` would load: of one file, else of the shards. Raises PretrainedError."""
    whole = directory / WEIGHTS_FILE
    if whole.is_file():
        return _names_in(whole)
    try:
        index = json.loads((directory / SHARDS_FILE).read_bytes())
        shards = sorted(set(index["weight_map"].values()))
    except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise PretrainedError(f"{directory} has no {WEIGHTS_FILE}, and no {SHARDS_FILE} that can be read") from error
    return {name: entry for shard in shards for name, entry in _names_in(directory / shard).items()}


def _names_in(path: Path) -> dict[str, WeightEntry]:
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - a handle, not a mapping
            return {name: WeightEntry(path, s.get_dtype(), tuple(s.get_shape())) for name, s in slices.items()}
    except (SafetensorError, OSError) as error:
        size = path.stat().st_size if path.is_file() else 0
        raise PretrainedError(
            f"{path} ({size:,} bytes) is cut off, or not a safetensors file ({error}); fetch or save it again"
        ) from error


def check_all_read(directory: Path, model: PreTrainedModel, unexpected: Collection[str]) -> None:
    """Raise PretrainedError for weights in `directory` that `model` does not have, or has twice.

    `unexpected` are those that `transformers` reported. It also hides some by patterns of its classes, so the files'
    own names are read as well.
    """
    entries = read_names(directory)
    _check_duplicates(directory, model, entries)
    hidden = "|".join(f"({pattern})" for pattern in _hidden_patterns(model))
    state = model.state_dict()
    unseen = {name for name in entries if re.search(hidden, name)} if hidden else set()
    dropped = {name for name in unseen if not {name, _without_base_prefix(name, model)} & state.keys()} | set(
        unexpected
    )
    unread = sorted(name for name in dropped if not _is_harmless(_without_base_prefix(name, model), model))
    if unread:
        raise PretrainedError(_unread_message(directory, model, unread))
    _check_types(entries, dropped)
    _check_frequencies(model, entries)


def _hidden_patterns(model: PreTrainedModel) -> Collection[str]:
    """Return the patterns of names that a class of `transformers` leaves out of its report."""
    return getattr(model, "_keys_to_ignore_on_load_unexpected", None) or ()


def wrong_prefix(directory: Path, missing: Iterable[str]) -> str | None:
    """Return the prefix of the `missing` weights' names in the files, if only that differs."""
    names, missing = read_names(directory).keys(), tuple(missing)
    found = Counter(
        name.removesuffix(wanted) for name in names for wanted in missing[:3] if name.endswith(f".{wanted}")
    )
    likely = next((prefix for prefix, _ in found.most_common()), None)
    return likely if likely and all(f"{likely}{wanted}" in names for wanted in missing) else None


def _without_base_prefix(name: str, model: PreTrainedModel) -> str:
    return name.removeprefix(f"{model.base_model_prefix}.") if model.base_model_prefix else name


def _is_harmless(name: str, model: PreTrainedModel) -> bool:
    if any(re.search(pattern, name) for pattern in _HARMLESS_NAMES):
        return True
    return _is_other_tower(name, model) or _is_beyond_last_layer(name, model) or _is_family_head(name, model)


def _is_other_tower(name: str, model: PreTrainedModel) -> bool:
    return name.partition(".")[0] in _OTHER_TOWERS.get(model.config.base_config_key, ())


def _is_beyond_last_layer(name: str, model: PreTrainedModel) -> bool:
    """Whether a shortened config leaves the layer out, as its author wanted."""
    found = re.search(r"(?:^|\.)(?:layer|layers)\.(\d+)\.", name)
    return found is not None and int(found[1]) >= model.config.num_hidden_layers


def _is_family_head(name: str, model: PreTrainedModel) -> bool:
    """Return whether the weights are DeBERTa's absolute positions, which its masked-LM decoder alone adds, or
    EuroBERT's classifier."""
    if model.config.model_type == "eurobert":
        return name.startswith("dense.")
    return "position_embeddings" in name and getattr(model.config, "position_biased_input", True) is False


def _unread_message(directory: Path, model: PreTrainedModel, unread: list[str]) -> str:
    more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
    ways = (way for pattern, way in _SUGGESTIONS.items() for name in unread if re.search(pattern, name))
    way_out = next(ways, "remove them if the model was trained without them")
    where = WEIGHTS_FILE if (directory / WEIGHTS_FILE).is_file() else SHARDS_FILE
    return f"{directory / where} has {unread[0]}{more}, which {type(model).__name__} does not read: {way_out}"


def _check_duplicates(directory: Path, model: PreTrainedModel, entries: Mapping[str, WeightEntry]) -> None:
    seen: dict[str, str] = {}
    for name in sorted(entries):
        plain = _without_base_prefix(name, model).replace("LayerNorm.gamma", "LayerNorm.weight")
        plain = plain.replace("LayerNorm.beta", "LayerNorm.bias")
        if plain in seen:
            raise PretrainedError(f"the weights in {directory} have {seen[plain]} and {name}: keep the trained one")
        seen[plain] = name


def _check_types(entries: Mapping[str, WeightEntry], dropped: Collection[str]) -> None:
    for name, entry in entries.items():
        if entry.dtype not in _FLOATS and name not in dropped and not any(re.search(p, name) for p in _HARMLESS_NAMES):
            raise PretrainedError(
                f"{entry.path} has {name} of the type {entry.dtype}, so the model is quantized; export the one that it "
                "was made from"
            )


def _check_frequencies(model: PreTrainedModel, entries: Mapping[str, WeightEntry]) -> None:
    """Check the stored rotary frequencies of older releases against the config: the model was trained with them."""
    own = [buffer for name, buffer in model.named_buffers() if name.endswith("inv_freq")]
    for name, entry in entries.items():
        if not own or not name.endswith("inv_freq"):
            continue
        stored = _read_tensor(entry.path, name).float()
        same = (one.shape == stored.shape and torch.allclose(one.float(), stored, rtol=1e-2) for one in own)
        if not any(same):
            raise PretrainedError(
                f"{entry.path} has {name} of other rotary positions than config.json; set its rope_theta and "
                "rope_scaling as the model was trained"
            )


def _read_tensor(path: Path, name: str) -> Tensor:
    with safe_open(path, framework="pt") as file:
        tensor: Tensor = file.get_tensor(name)
        return tensor
