"""Loading of a Hugging Face directory without running or fetching foreign code."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, PreTrainedModel
from transformers import __version__ as transformers_version
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import logging as transformers_logging

from models.filenames import CONFIG_FILE
from models.pretrained.config_entries import check_entries
from models.pretrained.errors import PretrainedError
from models.pretrained.weight_names import check_all_read, read_names, wrong_prefix

_LIBRARY_ERRORS = (
    ArithmeticError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RecursionError,
    RuntimeError,
    SafetensorError,
    StrictDataclassError,
    TypeError,
    ValueError,
)
"""Errors that `transformers` raises for an invalid config or invalid weights."""

_REFUSED_ENTRIES = {
    "auto_map": "asks for code that is never run; remove the entry if transformers' own {} is what was trained",
    "quantization_config": "is of a quantized model; export the {} that it was made from",
    "transformers_weights": "names its weights itself; call them model.safetensors and remove the entry",
    "is_decoder": "attends to what came before only; remove the entry if this {} was trained as an encoder",
    "add_cross_attention": "reads the states of another model; remove the entry if this {} was trained as an encoder",
}
"""Entries of config.json that refer to other sources or to code."""

_NATIVE_MODEL_TYPES = {"new": "'gte', transformers' own form of this architecture"}
"""Model types of `transformers` to which a checkpoint with its own code can be converted."""


def read_config(directory: Path) -> Any:
    """config.json as `transformers` reads it, of an architecture that ships with it. Raises PretrainedError."""
    path = directory / CONFIG_FILE
    _check_model_type(path)
    try:
        config = AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except _LIBRARY_ERRORS as error:
        raise PretrainedError(f"{path} cannot be read: {_first_line(error)}") from error
    for entry, why in _REFUSED_ENTRIES.items():
        if getattr(config, entry, None):
            raise PretrainedError(f"{path} has {entry}, so it {why.format(repr(config.model_type))}")
    return config


def _check_model_type(path: Path) -> None:
    """Check the entry: the library guesses, or asks for code, if it is not one of its own."""
    try:
        raw = json.loads(path.read_bytes())
    except OSError as error:
        raise PretrainedError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise PretrainedError(f"{path} cannot be read: it is not JSON ({error})") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("model_type"), str):
        raise PretrainedError(f'{path} has no model_type; add the one of its architecture, for example "bert"')
    kind, code = raw["model_type"], raw.get("auto_map")
    if kind in CONFIG_MAPPING:
        return
    if code:
        native = _NATIVE_MODEL_TYPES.get(kind, "a model_type of transformers")
        raise PretrainedError(
            f"{path} has the model_type {kind!r}, whose code is elsewhere ({_repository(code)}) and is never run; "
            f"export a copy of the model that was converted to {native}"
        )
    raise PretrainedError(
        f"{path} cannot be read: transformers {transformers_version} has no model_type {kind!r}; "
        "convert the model to one that it has"
    )


def _repository(code: Any) -> str:
    """Where an auto_map points: a repository before "--", else a file of the directory."""
    values = list(code.values()) if isinstance(code, dict) else [code]
    first = next((value for value in values if isinstance(value, str)), "auto_map")
    return f"auto_map: {first.partition('--')[0]}"


def load_model(
    model_class: Any, directory: Path, *, attention: str, config: Any = None, **options: Any
) -> PreTrainedModel:
    """Load what `model_class` (a class of `transformers` with `from_pretrained`) finds in `directory`, in float32.

    `attention` is `attention_interface.IMPLEMENTATION_NAME`, or a name that `transformers` knows ("eager" returns its
    weights). `config` is the directory's own unless given, for example that of one tower. Raises PretrainedError for
    files that are no such model, that leave any of its weights to chance, or that hold entries or weights that nothing
    reads.
    """
    config = read_config(directory) if config is None else config
    check_entries(directory / CONFIG_FILE, config)
    config.return_dict = True  # as this code reads what models return
    read_names(directory)  # a file that is cut off is named before the library speaks of it
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        model, found = model_class.from_pretrained(
            directory,
            config=config,
            attn_implementation=attention,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            **options,
        )
    except _LIBRARY_ERRORS as error:
        raise PretrainedError(f"the weights in {directory} cannot be loaded: {_first_line(error)}") from error
    for name, has, wanted in sorted(found["mismatched_keys"]):
        raise PretrainedError(f"the weights in {directory} have {name} of {list(has)}, its config says {list(wanted)}")
    if found["missing_keys"]:
        raise PretrainedError(_missing_weights_message(directory, config, sorted(found["missing_keys"])))
    check_all_read(directory, model, found["unexpected_keys"])
    loaded: PreTrainedModel = model.eval()
    return loaded


def _missing_weights_message(directory: Path, config: Any, names: list[str]) -> str:
    first, *others = names
    has = _layers(read_names(directory))
    if has and all(_layers([name]) - has for name in names):
        entry = config.attribute_map.get("num_hidden_layers", "num_hidden_layers")
        return (
            f"{directory / CONFIG_FILE} has {entry}: {config.num_hidden_layers}, and the weights are of {len(has)} "
            f"layers; write {entry}: {len(has)} if the model was trained so"
        )
    prefix = wrong_prefix(directory, names)
    if prefix:
        return (
            f"the weights in {directory} have {prefix}{first} for {first}: they were saved from inside another module; "
            f"save the encoder itself with save_pretrained, without the prefix {prefix!r}"
        )
    more = f" and {len(others)} more" if others else ""
    return f"the weights in {directory} lack {first}{more}"


def _layers(names: Iterable[str]) -> set[int]:
    """Return the indices of the layers that weights of these names belong to."""
    found = (re.search(r"(?:^|\.)layers?\.(\d+)\.", name) for name in names)
    return {int(match[1]) for match in found if match}


def _first_line(error: Exception) -> str:
    if isinstance(error, StrictDataclassError):
        return " ".join(str(error).split())  # the first line names the field, the next what is wrong
    first = next(iter(str(error).splitlines()), type(error).__name__)
    return f"there is no {first}" if isinstance(error, KeyError) else first
