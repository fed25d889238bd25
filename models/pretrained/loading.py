"""Opening a Hugging Face directory without running or fetching anything that is not already here."""

from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from models.pretrained.errors import PretrainedError

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
"""What `transformers` raises on a config or weights that are not what they should be: it checks little by itself."""

_REFUSED = {
    "auto_map": "asks for code that is never run; remove the entry if transformers' own {} is what was trained",
    "quantization_config": "is of a quantized model; export the {} that it was made from",
    "transformers_weights": "names its weights itself; call them model.safetensors and remove the entry",
}
"""Entries of config.json that lead elsewhere."""


def read_config(directory: Path) -> Any:
    """config.json as `transformers` reads it, of an architecture that ships with it. Raises PretrainedError."""
    path = directory / "config.json"
    try:
        config = AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except _LIBRARY_ERRORS as error:
        raise PretrainedError(f"{path} cannot be read: {_first_line(error)}") from error
    for entry, why in _REFUSED.items():
        if getattr(config, entry, None):
            raise PretrainedError(f"{path} has {entry}, so it {why.format(repr(config.model_type))}")
    return config


def load(auto: Any, directory: Path, *, attention: str, **options: Any) -> PreTrainedModel:
    """Load what `auto` (a class of `transformers` with `from_pretrained`) finds in `directory`, in float32.

    `attention` is `routing.ROUTED`, or a name that `transformers` knows ("eager" returns its weights). Raises
    PretrainedError for files that are no such model, or that leave any of its weights to chance.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        model, found = auto.from_pretrained(
            directory,
            attn_implementation=attention,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are told below, by name
            **options,
        )
    except _LIBRARY_ERRORS as error:
        raise PretrainedError(f"the weights in {directory} cannot be loaded: {_first_line(error)}") from error
    for name, has, wanted in sorted(found["mismatched_keys"]):
        raise PretrainedError(f"the weights in {directory} have {name} of {list(has)}, its config says {list(wanted)}")
    if found["missing_keys"]:
        first, *others = sorted(found["missing_keys"])
        more = f" and {len(others)} more" if others else ""
        raise PretrainedError(f"the weights in {directory} lack {first}{more}")
    loaded: PreTrainedModel = model.eval()
    return loaded


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
